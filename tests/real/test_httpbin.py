"""httpbin: its own tests and those of requests, on every server.

httpbin.patch contains the owner's edits in the generated project.
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

from tests.lib.locks import commands
from tests.lib.stack import Stack, run, run_stack
from tests.lib.template import Pair

from .conftest import HERE, LOCK, FlaskRun, edits, make_project

CHANGE = HERE / "httpbin.patch"
SUITES = {"httpbin": "tests", "requests": "tests/test_requests.py"}
# Intended differences of the pairs: the test that detects each, and a part of its message.
DIFFERENT = {
    # The proxies reject TRACE, which this test sends after other methods.
    "test_methods__to_status_endpoint": "405 != 418",
    # The proxies buffer a chunked body: httpbin gets a Content-Length, and does not reject it.
    "test_post_chunked": "200 != 501",
    # The client sends this header: without TRUSTED_PROXY_COUNT it is not trusted.
    "test_x_forwarded_proto": "built-in method startswith",
}
# A server may send response lines of one name as one line, which means the same (RFC 9110, 5.3).
OPTIONAL = {"test_response_headers_multi": "['dog, cat'] != ['dog', 'cat']"}


@pytest.fixture(scope="module")
def stack(
    engine: None, pair: Pair, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Yield the running pair with httpbin, pinned with the project's commands."""
    project = make_project(pair, tmp_path_factory.mktemp(str(pair)), CHANGE)
    pin = commands(project)
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
    """A test's result. The comparison ignores the message, which may contain addresses."""

    outcome: str
    told: str = field(default="", compare=False)


def results(suite: str, url: str, clients: Path, folder: Path) -> dict[str, Result]:
    """Run published tests against ``url``; return the result of each."""
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
    """Return the results of the published tests with `flask run`."""
    with flask_run("httpbin:app") as url:
        found = {suite: results(suite, url, clients, sources[suite]) for suite in SUITES}
    passed = [result for each in found.values() for result in each.values()].count(Result("passed"))
    assert passed > 400  # of 409: some need internet access
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_published_tests_have_the_results_of_flask_run(stack, expected, clients, sources, suite):
    found = results(suite, stack.url, clients, sources[suite])
    assert found.keys() == expected[suite].keys()
    different = {name: got for name, got in found.items() if got != expected[suite][name]}
    assert different.keys() - OPTIONAL.keys() == DIFFERENT.keys() & found.keys(), different
    for name, got in different.items():
        assert (DIFFERENT | OPTIONAL)[name] in got.told, got


def test_few_lines_are_edited():
    assert edits(CHANGE) == 3
