"""Hundreds of instances of every kind, while devhost is killed with -9 again and again."""
