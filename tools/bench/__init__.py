"""Benchmarks of every pair, with charts: `make bench`."""
