"""Commands with a target in the Makefile. They import tests/lib; only their tests import them."""
