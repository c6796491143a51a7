"""The conformance page: the tests that each pair passed, and its expected failures.

A pytest plugin: `make conformance` runs all pairs with it, and it writes docs/conformance.json and,
rendered from that, docs/conformance.md. With --collect-only it prints the concerns and the expected
failures of each pair.

The tests of tests/application/ are abilities of applications; docs/applications.md has their table.
"""

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.lib.node_ids import place
from tests.lib.template import PAIRS, ROOT, Pair

from .git import commit
from .markdown import table

JSON = ROOT / "docs" / "conformance.json"
PAGE = ROOT / "docs" / "conformance.md"

HEAD = """# Conformance

Each pair was generated, built and started, and received the same requests through its proxy's
published port. The numbers count the tests of each concern that passed; none failed. If a server or
a proxy has a limitation, its test is expected to fail, with the reason below. The tests report when
it passes. The last column is the commit that was tested. An empty count was not measured.

`make conformance` generates this page. [conformance.json](conformance.json) has the same data for
programs.
"""

Facts = dict[str, Any]
Abilities = dict[str, Facts]


def probe_of(nodeid: str) -> tuple[Pair, str, str] | None:
    """Return place() for a probe, and None for other tests of a pair."""
    return place(nodeid) if nodeid.startswith("tests/pairs/") else None


def ability_of(nodeid: str) -> tuple[Pair, str] | None:
    """Return the pair and name of an ability's test, such as calls::test_dns; None for others."""
    placed = place(nodeid) if nodeid.startswith("tests/application/") else None
    return placed and (placed[0], placed[2].partition("[")[0])


def record(reports: dict[str, list[pytest.TestReport]]) -> dict[str, Facts]:
    """Return the results of each pair, from pytest's reports by outcome."""
    passed: dict[Pair, Counter[str]] = defaultdict(Counter)
    counts: dict[Pair, Counter[str]] = defaultdict(Counter)
    https: dict[Pair, Counter[str]] = defaultdict(Counter)
    limits: dict[Pair, list[dict[str, str]]] = defaultdict(list)
    abilities: dict[Pair, Abilities] = defaultdict(dict)
    for outcome in ("passed", "xfailed"):
        for report in reports.get(outcome, []):
            reason = report.wasxfail if outcome == "xfailed" else ""
            if found := ability_of(report.nodeid):
                add_ability(abilities[found[0]], found[1], reason)
            # Counts that a test reported with record_property().
            reported = {name: n for name, n in report.user_properties if isinstance(n, int)}
            if report.nodeid.startswith("tests/tls/") and (placed := place(report.nodeid)):
                https[placed[0]].update(reported)
            if not (placed := probe_of(report.nodeid)):
                continue
            pair, concern, probe = placed
            passed[pair][concern] += outcome == "passed"
            counts[pair].update(reported)
            if outcome == "xfailed":
                limits[pair].append({"probe": probe, "reason": reason})
    recorded: dict[str, Facts] = defaultdict(dict)
    for pair in passed:
        recorded[str(pair)] |= {
            "commit": commit(),
            "passed": passed[pair].total(),
            "concerns": dict(sorted(passed[pair].items())),
            "counts": dict(sorted(counts[pair].items())),
            "expected_failures": sorted(limits[pair], key=lambda limit: limit["probe"]),
        }
    for pair, found in https.items():
        if found:
            recorded[str(pair)]["https"] = dict(sorted(found.items()))
    for pair, found in abilities.items():
        recorded[str(pair)]["abilities"] = dict(sorted(found.items()))
    return dict(recorded)


def add_ability(abilities: Abilities, name: str, reason: str) -> None:
    """Add a test of an ability; the reason is empty if it passed."""
    facts = abilities.setdefault(name, {"tests": 0, "limitations": []})
    facts["tests"] += 1
    if reason and reason not in facts["limitations"]:
        facts["limitations"] = sorted([*facts["limitations"], reason])


def render(pairs: dict[str, Facts]) -> str:
    """Return the page for the recorded pairs."""
    concerns = sorted({concern for facts in pairs.values() for concern in facts["concerns"]})
    lines = [HEAD, "## Passed tests", ""]
    lines += table(
        ["pair", *concerns, "all", "expected failures", "commit"],
        (
            [
                pair,
                *(facts["concerns"].get(concern, 0) for concern in concerns),
                facts["passed"],
                len(facts["expected_failures"]),
                facts["commit"],
            ]
            for pair, facts in pairs.items()
        ),
    )
    for key, heading in (("counts", "## Counts"), ("https", "## HTTPS")):
        rows = {pair: facts[key] for pair, facts in pairs.items() if facts.get(key)}
        if counted := sorted({name for row in rows.values() for name in row}):
            lines += [heading, ""]
            lines += table(
                ["pair", *counted],
                ([pair, *(row.get(name, "") for name in counted)] for pair, row in rows.items()),
            )
    lines += ["## Expected failures", ""]
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pair, facts in pairs.items():
        for limit in facts["expected_failures"]:
            found[limit["probe"], limit["reason"]].append(pair)
    if found:
        lines += table(
            ["test", "pairs", "reason"],
            (
                [f"`{probe}`", ", ".join(where), reason.replace("|", "\\|")]
                for (probe, reason), where in sorted(found.items())
            ),
        )
    else:
        lines += ["None.", ""]
    return "\n".join(lines)


def empty() -> Facts:
    """Return the facts of a pair without tests."""
    return {"concerns": set(), "expected_failures": [], "abilities": {}}


def expected(items: list[pytest.Item]) -> dict[str, Facts]:
    """Return the concerns and the expected failures of each pair, from the collected tests."""
    found: dict[str, Facts] = {}
    for item in items:
        if ability := ability_of(item.nodeid):
            limit = item.get_closest_marker("xfail")
            reason = limit.kwargs["reason"] if limit else ""
            facts = found.setdefault(str(ability[0]), empty())
            add_ability(facts["abilities"], ability[1], reason)
        if not (placed := probe_of(item.nodeid)):
            continue
        pair, concern, probe = placed
        facts = found.setdefault(str(pair), empty())
        facts["concerns"].add(concern)
        for mark in item.iter_markers("xfail"):
            facts["expected_failures"].append({"probe": probe, "reason": mark.kwargs["reason"]})
    for facts in found.values():
        facts["concerns"] = sorted(facts["concerns"])
        facts["expected_failures"].sort(key=lambda limit: limit["probe"])
    return found


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        print(json.dumps(expected(session.items)))


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Write both files if no test failed or was skipped. Runs in xdist's controller only."""
    if config.option.collectonly:
        return
    reports = terminalreporter.stats
    # With --pair, pytest reports a test of other pairs as skipped.
    skipped = [
        report
        for report in reports.get("skipped", [])
        if "empty parameter set" not in str(report.longrepr)
    ]
    if skipped or reports.get("failed") or reports.get("error"):
        terminalreporter.write_line("docs/conformance.* stay as they are: not all tests passed")
        return
    known = json.loads(JSON.read_text(encoding="utf-8"))["pairs"] if JSON.exists() else {}
    # Keep the results of tests that did not run this time.
    new = record(reports)
    ran = {pair: known.get(pair, {}) | new.get(pair, {}) for pair in known | new}
    pairs = {str(pair): ran[str(pair)] for pair in PAIRS if str(pair) in ran}
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps({"pairs": pairs}, indent=2, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(render(pairs), encoding="utf-8")
    terminalreporter.write_line(f"written: {JSON.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
