"""Durable Functions: the JSON protocol of SDK 1.x over a SQLite task hub."""
