"""The tests of `make test PROJECT=...`, on projects that their owners have edited."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.existing.owners import FAULTS, LARGER_UPLOADS, OWNERS, Owner
from tests.lib.existing import VARIABLE, matches
from tests.lib.template import ROOT
from tools.summary import Results, read_report


def contract(project: Path, report: Path, *arguments: str) -> Results:
    """Run the tests on a project, like make; return what they found."""
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {VARIABLE: str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-5000:] + done.stderr[-5000:]
    return read_report(report.read_text(encoding="utf-8"))


def contents(project: Path) -> dict[str, bytes]:
    """Return the contents of all files of a project."""
    return {str(file): file.read_bytes() for file in project.rglob("*") if file.is_file()}


def test_five_faults_are_named(
    engine: None, tmp_path: Path, record_property: Callable[[str, object], None]
):
    """Each harmful edit fails a test of its concern, and no file of the project changes."""
    project = LARGER_UPLOADS.make(tmp_path)
    for edit, _ in FAULTS:
        edit.make(project)
    before = contents(project)
    files = [f"tests/pairs/{test.partition(':')[0]}" for _, test in FAULTS]
    results = contract(project, tmp_path / "report.xml", *files)
    assert contents(project) == before
    names = [name for name, _ in results.failed]
    for edit, test in FAULTS:
        assert any(name.startswith(test) for name in names), f"{edit.old!r}: {names}"
    assert results.passed > len(results.failed)
    record_property("faults_found", len(FAULTS))


@pytest.mark.owners
@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.name.replace(" ", "-").lower())
def test_an_edited_project(engine: None, owner: Owner, tmp_path: Path):
    """The whole contract holds, except for what the owner declares."""
    project = owner.make(tmp_path)
    folders = ["tests/pairs", "tests/application", "tests/differential"]
    results = contract(project, tmp_path / "report.xml", *folders, "-n", "2")
    assert results.failed == []
    declared = {name for name, reason in results.expected if owner.reason in reason}
    # A pattern may match tests that passed.
    for test in owner.different:
        assert "*" in test or any(matches(name, test) for name in declared), test
