"""What is measured, against which peer: `python -m bench NAME`."""
