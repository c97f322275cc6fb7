"""One side effect each, called by orchestrators only."""
