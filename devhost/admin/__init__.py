"""The host's own API below /admin."""
