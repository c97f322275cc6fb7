"""What happens over time: deterministic, no I/O."""
