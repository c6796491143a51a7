"""httpbin: its own tests and those of requests, on every server.

httpbin.patch is what its owner edits in the generated project.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.harness.locks import commands
from tests.harness.stack import Stack, run, run_stack
from tests.harness.template import Pair

from .conftest import HERE, LOCK, FlaskRun, edits, make_project

CHANGE = HERE / "httpbin.patch"
SUITES = {"httpbin": "tests", "requests": "tests/test_requests.py"}
# What pairs do otherwise on purpose, by the published test that sees it; with what it then tells.
DIFFERENT = {
    # The proxies refuse TRACE, which this test sends after other methods.
    "test_methods__to_status_endpoint": "405 != 418",
    # The proxies read a body in chunks whole: httpbin gets its length, and need not refuse it.
    "test_post_chunked": "200 != 501",
    # The header is a client's own: without TRUSTED_PROXY_COUNT nobody is believed.
    "test_x_forwarded_proto": "built-in method startswith",
}


@pytest.fixture(scope="module")
def stack(
    engine: None, pair: Pair, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The pair with httpbin, whose package is pinned as the project's README says."""
    project = make_project(pair, tmp_path_factory.mktemp(str(pair)), CHANGE)
    pin = commands(project / "README.md")
    for file, more in (
        ("requirements.txt", ["--constraint", LOCK]),
        ("server/requirements.txt", []),
    ):
        uv = Path(sys.executable).parent / pin[file][0]
        run([uv, *pin[file][1:], *more, "--quiet"], cwd=project)
    static = sources["httpbin"] / "httpbin" / "static"
    shutil.copytree(static, project / "src/service/static", dirs_exist_ok=True)
    with run_stack(pair, project, f"{project.name}-{os.getpid()}") as stack:
        yield stack


@dataclass(frozen=True)
class Result:
    """What became of a test: two are equal whatever they tell, which may have addresses in it."""

    outcome: str
    told: str = field(default="", compare=False)


def results(suite: str, url: str, clients: Path, folder: Path) -> dict[str, Result]:
    """Run published tests against ``url``; return what became of each."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    options = f"-q -p through_http -p no:httpbin -p no:cacheprovider --junitxml {report}"
    done = subprocess.run(
        [clients / "python", "-m", "pytest", *options.split(), SUITES[suite]],
        cwd=folder,
        env=os.environ | {"BASE_URL": url, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.is_file(), done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 # of this run
        found[case.get("name")] = Result("passed")
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                found[case.get("name")] = Result(child.tag, child.get("message"))
    return found


@pytest.fixture(scope="session")
def expected(
    flask_run: FlaskRun, clients: Path, sources: dict[str, Path]
) -> dict[str, dict[str, Result]]:
    """What the published tests find at `flask run`."""
    with flask_run("httpbin:app") as url:
        found = {suite: results(suite, url, clients, sources[suite]) for suite in SUITES}
    passed = [result for each in found.values() for result in each.values()].count(Result("passed"))
    assert passed > 400  # of 409: some need the internet
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_published_tests_have_the_results_of_flask_run(stack, expected, clients, sources, suite):
    found = results(suite, stack.url, clients, sources[suite])
    assert found.keys() == expected[suite].keys()
    different = {name: got for name, got in found.items() if got != expected[suite][name]}
    assert different.keys() == DIFFERENT.keys() & found.keys(), different
    for name, got in different.items():
        assert DIFFERENT[name] in got.told


def test_few_lines_are_edited():
    assert edits(CHANGE) == 3
