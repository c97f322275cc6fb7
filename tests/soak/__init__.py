"""Hundreds of turns with jobs of seconds, delivered again at random, while the hosts are killed."""
