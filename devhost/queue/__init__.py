"""Queue triggers and queue outputs on storage queues."""
