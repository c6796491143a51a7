"""Real applications in generated projects: Flask's tutorial, and httpbin.

Each server is tried once, with alternating proxies, and compared with `flask run`.
"""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.lib.locks import pins
from tests.lib.stack import run, wait_until
from tests.lib.template import EACH_SERVER, Pair, generate
from tests.lib.tried import try_on
from tests.lib.venv import make
from tests.pairs.conftest import pytest_runtest_makereport  # noqa: F401
from tests.pairs.project import python_version

HERE = Path(__file__).parent
LOCK = HERE / "requirements.txt"

FlaskRun = Callable[[str], AbstractContextManager[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, EACH_SERVER)


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of a virtual environment for `flask run` and the published tests."""
    folder = tmp_path_factory.mktemp("clients") / "venv"
    make(folder, LOCK)
    return folder / "bin"


@pytest.fixture(scope="session")
def sources(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the unpacked source archives of some packages, by their names."""
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
    """Return a context manager that runs an application with `flask run` and yields its URL."""

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


def make_project(
    pair: Pair, into: Path, change: Path, package: Path | None = None, **answers: str
) -> Path:
    """Generate a pair's project, add a package, apply a patch to both, and return the folder."""
    project = generate(
        into,
        project_slug=f"{change.stem}-{pair}".replace("_", "-"),
        package_name="service",
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=python_version(pair),
        **answers,
    )
    if package:
        shutil.copytree(package, project / "src" / package.name)
        # The proxy serves the static files of the project's package.
        shutil.copytree(package / "static", project / "src/service/static", dirs_exist_ok=True)
    # Without its own repository, git would apply the paths to an outer repository.
    run(["git", "init", "--quiet"], cwd=project)
    run(["git", "apply", change], cwd=project)
    return project


def edits(change: Path) -> int:
    """Return how many lines a patch adds, removes or replaces."""
    text = re.sub(r"(?m)^(---|\+\+\+) .*", "", change.read_text(encoding="utf-8"))
    first = [[line[:1] for line in hunk.splitlines()[1:]] for hunk in text.split("\n@@ ")]
    return sum(max(each.count("+"), each.count("-")) for each in first)
