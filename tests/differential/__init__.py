"""Differential tests: the same requests to all pairs, and the differences between responses."""
