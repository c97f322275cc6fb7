"""The kinds of background job that users can ask for: one file a kind, listed in catalog.py."""
