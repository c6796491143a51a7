"""Machinery for the tests and for `make run`: no assertions here."""
