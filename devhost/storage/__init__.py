"""Storage accounts: what a binding's connection means."""
