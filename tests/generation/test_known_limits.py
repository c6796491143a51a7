"""The expected failures in cookiecutter.json name existing pairs and tests."""

import pytest

from tests.harness.template import FACTS, PROXIES, ROOT, SERVERS

KNOWN_LIMITS = [
    (limit, others)
    for entries, others in (("_servers", PROXIES), ("_proxies", SERVERS))
    for entry in FACTS[entries].values()
    for limit in entry["known_limits"]
]


def test_each_has_a_pair_and_a_reason():
    for limit, others in KNOWN_LIMITS:
        assert limit["paired_with"] in ("*", *others)
        assert len(limit["reason"]) > 20
        assert limit["tests"]
    assert KNOWN_LIMITS


@pytest.mark.parametrize("test", [test for limit, _ in KNOWN_LIMITS for test in limit["tests"]])
def test_each_is_detected_by_a_test(test: str):
    file, _, name = test.partition("::")
    (source,) = [
        path.read_text(encoding="utf-8")
        for folder in ("pairs", "application")
        if (path := ROOT / "tests" / folder / file).exists()
    ]
    assert f"def {name.partition('[')[0]}(" in source
