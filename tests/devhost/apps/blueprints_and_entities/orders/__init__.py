"""Orders: how they start, how they go on, and what they do."""
