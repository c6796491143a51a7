"""Support code for the tests and `make run`, without assertions."""
