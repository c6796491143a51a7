"""Print the results of `make test PROJECT=... REPORT=report.xml` as Markdown.

Usage: python -m tools.summary report.xml
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .markdown import table


@dataclass
class Results:
    """What a run found: the names of tests, each with the first line of its message."""

    passed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    # Failed as tests/expectations.json or the project's contract.toml says.
    expected: list[tuple[str, str]] = field(default_factory=list)


def read_report(report: str) -> Results:
    """Read a report in pytest's JUnit XML."""
    results = Results()
    # A file that pytest wrote.
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314
        problem = case.find("failure")
        problem = problem if problem is not None else case.find("error")
        skipped = case.find("skipped")
        if problem is not None:
            results.failed.append((name_of(case), first_line(problem)))
        elif skipped is None:
            results.passed += 1
        elif skipped.get("type") == "pytest.xfail":
            results.expected.append((name_of(case), first_line(skipped)))
    return results


def name_of(case: ElementTree.Element) -> str:
    """Return a test's file and name."""
    module = case.get("classname", "").rpartition(".")[2]
    return f"{module}.py::{case.get('name', '')}"


def first_line(result: ElementTree.Element) -> str:
    """Return the first line of a result's message, for a cell of a table."""
    text = (result.get("message") or result.text or "").strip().partition("\n")[0]
    return text[:200].replace("|", "\\|")


def markdown(results: Results) -> str:
    """Return the results as Markdown: numbers, failures, and expected failures."""
    parts = [
        f"{results.passed} tests passed, {len(results.failed)} failed,"
        f" {len(results.expected)} failed as expected.\n"
    ]
    for heading, column, tests in (
        ("Failed", "message", results.failed),
        ("Failed as expected", "reason", results.expected),
    ):
        if tests:
            rows = [[f"`{name}`", text] for name, text in tests]
            parts.append("\n".join([f"## {heading}", "", *table(["test", column], rows)]))
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(f"{__doc__.strip()}\nThe file must exist: `make test` with REPORT writes it.")
    print(markdown(read_report(Path(sys.argv[1]).read_text(encoding="utf-8"))))
