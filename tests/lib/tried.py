"""Tests that run on some pairs only."""

from collections.abc import Sequence

import pytest

from .template import Pair


def try_on(metafunc: pytest.Metafunc, tried: Sequence[Pair]) -> None:
    """Parametrize a test with these pairs, or those of its mark, filtered by --pair."""
    if "pair" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("pair")
        if chosen := metafunc.definition.get_closest_marker("pairs"):
            (tried,) = chosen.args
        pairs = [pair for pair in tried if not wanted or str(pair) in wanted]
        metafunc.parametrize("pair", pairs, ids=str, indirect=True, scope="session")
