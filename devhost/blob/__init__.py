"""Blob inputs and blob outputs."""
