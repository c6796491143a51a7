"""Measures what users get, and draws it: `make bench`."""
