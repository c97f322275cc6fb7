"""The programs under test: those of the peers run in the peers' own environment."""
