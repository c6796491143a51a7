"""tests/pairs/known_limits.py names servers, proxies and tests that there are."""

from fnmatch import filter as matching

import pytest

from tests.harness.template import PROXIES, ROOT, SERVERS
from tests.pairs.known_limits import KNOWN_LIMITS


@pytest.mark.parametrize("key", KNOWN_LIMITS, ids="-".join)
def test_known_limit_is_of_something(key: tuple[str, str, str]):
    server, proxy, test = key
    assert matching(SERVERS, server)
    assert matching(PROXIES, proxy)
    file, _, name = test.partition("::")
    source = (ROOT / "tests" / "pairs" / file).read_text(encoding="utf-8")
    assert f"def {name.partition('[')[0]}(" in source
    assert len(KNOWN_LIMITS[key]) > 20
