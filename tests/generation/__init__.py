"""Tests of the template without Docker."""
