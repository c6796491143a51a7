"""Real applications in generated projects: Flask's tutorial, and httpbin.

Each server once, behind one proxy and the other in turn; and `flask run`, as the comparison.
"""

import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.harness.locks import pins
from tests.harness.stack import run, wait_until
from tests.harness.template import PROXIES, SERVERS, Pair, generate
from tests.harness.tried import try_on
from tests.harness.venv import make
from tests.pairs.project import python_version

HERE = Path(__file__).parent
LOCK = HERE / "requirements.txt"
PAIRS_TRIED = [Pair(server, PROXIES[number % 2]) for number, server in enumerate(SERVERS)]

FlaskRun = Callable[[str], AbstractContextManager[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, PAIRS_TRIED)


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with what `flask run` and the published tests need."""
    folder = tmp_path_factory.mktemp("clients") / "venv"
    make(folder, LOCK)
    return folder / "bin"


@pytest.fixture(scope="session")
def sources(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sources of some packages, which have examples and tests; by their names."""
    folder = tmp_path_factory.mktemp("sources")
    names = "flask", "httpbin", "requests"
    pinned = pins(LOCK.read_text(encoding="utf-8"))
    (folder / "sources.txt").write_text("".join(map(pinned.get, names)), encoding="utf-8")
    options = "--no-deps --no-binary :all: --require-hashes --requirement sources.txt"
    run([clients / "pip", "download", "--quiet", *options.split()], cwd=folder)
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
    return {name: next(folder.glob(f"{name}-*/")) for name in names}


@pytest.fixture(scope="session")
def flask_run(clients: Path, sources: dict[str, Path]) -> FlaskRun:
    """A context in which an application runs by `flask run`; it is entered with its address."""

    @contextmanager
    def context(application: str) -> Iterator[str]:
        log = clients.parent / f"{application}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [clients / "flask", "--app", application, "run", "--port", "0"],
                cwd=sources["flask"] / "examples" / "tutorial",
                stdout=output,
                stderr=output,
            )
        try:

            def address() -> str:
                _, found, rest = log.read_text(encoding="utf-8").partition("Running on ")
                return rest.split()[0] if found and rest.split() else ""

            yield wait_until(address, timeout=30)
        finally:
            process.terminate()
            process.wait()

    return context


def make_project(pair: Pair, into: Path, change: Path) -> Path:
    """Generate a pair's project, and change it by a patch; return where it is."""
    project = generate(
        into,
        project_slug=f"{change.stem}-{pair}".replace("_", "-"),
        package_name="service",
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=python_version(pair),
    )
    # Elsewhere than in a repository of its own, git would take the paths as those of another one.
    run(["git", "init", "--quiet"], cwd=project)
    run(["git", "apply", change], cwd=project)
    return project


def edits(change: Path) -> int:
    """Return how many lines a patch adds, removes or replaces."""
    text = re.sub(r"(?m)^(---|\+\+\+) .*", "", change.read_text(encoding="utf-8"))
    first = [[line[:1] for line in hunk.splitlines()[1:]] for hunk in text.split("\n@@ ")]
    return sum(max(each.count("+"), each.count("-")) for each in first)
