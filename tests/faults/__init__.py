"""Deliveries through every fault of the channel, while the host is killed again and again."""
