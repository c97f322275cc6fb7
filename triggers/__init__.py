"""How work comes in: one file an event source."""
