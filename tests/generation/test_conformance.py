"""The conformance page is up to date with the pairs and the tests."""

import json
import subprocess
import sys

import pytest

from tests.lib.template import PAIRS, ROOT
from tools import conformance


@pytest.fixture(scope="module")
def recorded() -> dict[str, conformance.Facts]:
    return json.loads(conformance.JSON.read_text(encoding="utf-8"))["pairs"]


@pytest.fixture(scope="module")
def expected() -> dict[str, conformance.Facts]:
    command = "-m pytest -p tools.conformance --collect-only --quiet -n 0 tests/pairs"
    command += " tests/application"
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(line)


def test_every_pair_was_run(recorded):
    assert list(recorded) == [str(pair) for pair in PAIRS], "run `make conformance`"


def test_every_concern_was_tested(recorded, expected):
    files = (ROOT / "tests" / "pairs").glob("test_*.py")
    concerns = sorted(file.stem.removeprefix("test_") for file in files)
    for pair, facts in recorded.items():
        assert list(facts["concerns"]) == expected[pair]["concerns"] == concerns, (
            f"outdated: run `make conformance` for {pair}"
        )
        assert facts["passed"] == sum(facts["concerns"].values())


def test_expected_failures_match_the_tests(recorded, expected):
    for pair, facts in recorded.items():
        assert facts["expected_failures"] == expected[pair]["expected_failures"], (
            f"run `make conformance`: {pair}"
        )


def test_abilities_match_the_tests(recorded, expected):
    for pair, facts in recorded.items():
        assert facts["abilities"] == expected[pair]["abilities"], f"run `make conformance`: {pair}"


def test_the_page_matches_the_data(recorded):
    assert conformance.PAGE.read_text(encoding="utf-8") == conformance.render(recorded)


def report(nodeid: str, outcome: str, **more) -> pytest.TestReport:
    location = ("", 0, "")
    made = pytest.TestReport(nodeid, location, {}, outcome, None, "call", **more)
    if outcome == "skipped":
        made.wasxfail = "cannot"
    return made


def test_outcomes_become_a_page(monkeypatch):
    """A small run: two probes passed, one with 12 requests, and one failed as expected."""
    monkeypatch.setattr(conformance, "commit", lambda: "abc")
    pair = PAIRS[-1]
    file = "tests/pairs/test_bodies.py"
    passed = [
        report(f"{file}::test_upload[{pair}-a-b]", "passed", user_properties=[("requests", 12)]),
        report(f"{file}::test_plain[{pair}]", "passed"),
        report("tests/generation/test_readme.py::test_tables[_servers]", "passed"),
        report(f"tests/application/test_calls.py::test_dns[{pair}-found]", "passed"),
    ]
    limits = [
        report(f"{file}::test_upload[{pair}-c]", "skipped"),
        report(f"tests/application/test_calls.py::test_dns[{pair}-unknown]", "skipped"),
    ]
    recorded = conformance.record({"passed": passed, "xfailed": limits})
    assert recorded == {
        str(pair): {
            "commit": "abc",
            "passed": 2,
            "concerns": {"bodies": 2},
            "counts": {"requests": 12},
            "expected_failures": [{"probe": "bodies::test_upload[c]", "reason": "cannot"}],
            "abilities": {"calls::test_dns": {"tests": 2, "limitations": ["cannot"]}},
        }
    }
    page = conformance.render(recorded)
    assert f"| {pair} | 2 | 2 | 1 | abc |" in page
    assert f"| {pair} | 12 |" in page
    assert f"| `bodies::test_upload[c]` | {pair} | cannot |" in page
