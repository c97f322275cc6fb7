"""GET /devhost: what the host does, shown in a browser, and what can be done about it there."""
