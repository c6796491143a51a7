"""The expected failures in expectations.json name existing pairs and tests."""

import pytest

from tests.lib.template import EXPECTATIONS, PROXIES, ROOT, SERVERS

EXPECTED_FAILURES = [
    (failure, others)
    for entries, others in (("_servers", PROXIES), ("_proxies", SERVERS))
    for entry in EXPECTATIONS[entries].values()
    for failure in entry["expected_failures"]
]


def test_each_has_a_pair_and_a_reason():
    for failure, others in EXPECTED_FAILURES:
        assert failure["paired_with"] in ("*", *others)
        assert len(failure["reason"]) > 20
        assert failure["tests"]
    assert EXPECTED_FAILURES


@pytest.mark.parametrize(
    "test", [test for failure, _ in EXPECTED_FAILURES for test in failure["tests"]]
)
def test_each_is_detected_by_a_test(test: str):
    file, _, name = test.partition("::")
    (source,) = [
        path.read_text(encoding="utf-8")
        for folder in ("pairs", "application")
        if (path := ROOT / "tests" / folder / file).exists()
    ]
    assert f"def {name.partition('[')[0]}(" in source
