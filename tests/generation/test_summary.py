"""The summary of a report, and the table of make matrix."""

import pytest

from tests.lib.template import EXPECTATIONS, FACTS, PAIRS, PROXIES, SERVERS, generate
from tools.matrix import Row, changes_of, main, newest, oldest, pinned_release
from tools.summary import Results, markdown, read_report

REPORT = """<testsuites><testsuite>
<testcase classname="tests.pairs.test_a" name="test_one"/>
<testcase classname="tests.pairs.test_a" name="test_two"><failure message="a | b&#10;c"/></testcase>
<testcase classname="tests.pairs.test_a" name="test_three"><error message="no engine"/></testcase>
<testcase classname="tests.pairs.test_b" name="test_four">
<skipped type="pytest.xfail" message="limit"/></testcase>
<testcase classname="tests.pairs.test_b" name="test_five">
<skipped type="pytest.skip" message="-"/></testcase>
</testsuite></testsuites>"""


def test_a_report_as_markdown():
    results = read_report(REPORT)
    assert results.passed == 1
    assert results.failed == [
        ("test_a.py::test_two", r"a \| b"),
        ("test_a.py::test_three", "no engine"),
    ]
    assert results.expected == [("test_b.py::test_four", "limit")]
    text = markdown(results)
    assert text.startswith("1 tests passed, 2 failed, 1 failed as expected.\n")
    assert r"| `test_a.py::test_two` | a \| b |" in text
    assert "| `test_b.py::test_four` | limit |" in text


def test_without_failures_there_is_one_line():
    assert markdown(Results(passed=3)) == "3 tests passed, 0 failed, 0 failed as expected.\n"


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        (Row(PAIRS[0], "1.0", Results(passed=1)), False),
        (Row(PAIRS[0], "1.0", Results(failed=[("a", "b")])), True),
        (Row(PAIRS[0], "2.0rc1", Results(failed=[("a", "b")]), may_fail=True), False),
        (Row(PAIRS[0], "1.0", None, "the tests did not run"), True),
    ],
)
def test_a_version_fails_unless_it_is_a_pre_release(row, failed):
    assert row.failed is failed
    assert len(row.cells()) == 5


def test_an_unknown_pair(capsys):
    assert main(["no-pair"]) == 2
    assert "No such pair: no-pair" in capsys.readouterr().err


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_has_an_oldest_release(server, tmp_path):
    """The name of its package is found in the requirements."""
    assert EXPECTATIONS["_servers"][server]["oldest_release"]
    project = generate(tmp_path, wsgi_server=server, proxy=FACTS["proxy"][0])
    assert pinned_release(project, server)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.proxy == PROXIES[0]], ids=str)
def test_a_release_is_tested_once(pair, tmp_path, monkeypatch):
    """The newest release may be the oldest that is supported."""
    known = EXPECTATIONS["_servers"][pair.server]
    monkeypatch.setitem(known, "oldest_release", "0.0.1")
    assert changes_of(pair)[:2] == [oldest, newest]
    project = generate(tmp_path, wsgi_server=pair.server, proxy=pair.proxy)
    monkeypatch.setitem(known, "oldest_release", pinned_release(project, pair.server))
    assert oldest not in changes_of(pair)
