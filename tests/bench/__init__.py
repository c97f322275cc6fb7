"""The bench's own arithmetic and parsing; no peer is needed."""
