"""One running project with a database for each server, behind the proxies in turn."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.stack import Stack, run_stack
from tests.lib.template import DATABASES, EACH_SERVER, Pair, generate
from tests.lib.tried import try_on
from tests.pairs.conftest import pytest_runtest_makereport  # noqa: F401

PACKAGE = "probed"
VIEWS = Path(__file__).with_name("trial.py")
# In .env, so that the commands of the project's pages have them too.
SETTINGS = {
    "WEB_CONCURRENCY": 2,
    # A request waits 2 s for a connection, and 6 s for a statement.
    "REQUEST_TIMEOUT": 12,
    # The tests are one client.
    "CONNECTIONS_PER_CLIENT": 500,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, EACH_SERVER)


@pytest.fixture(scope="session")
def project(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair's project, with the views of the tests."""
    project = generate(
        tmp_path_factory.mktemp(str(pair)),
        # The project's commands use it as the name of the stack, so it must be unique.
        project_slug=f"data-{pair}-{os.getpid()}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        database=DATABASES[0],
    )
    package = project / "src" / PACKAGE
    shutil.copy(VIEWS, package)
    about = package / "about.toml"
    text = about.read_text(encoding="utf-8")
    assert text.count('"notes"]') == 1
    about.write_text(text.replace('"notes"]', '"notes", "trial"]'), encoding="utf-8")
    lines = (f"{name}={value}\n" for name, value in SETTINGS.items())
    (project / ".env").write_text("".join(lines), encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def stack(engine: None, pair: Pair, project: Path) -> Iterator[Stack]:
    """The running project."""
    with run_stack(pair, project, project.name) as stack:
        yield stack


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """The stack, which is started again after the test."""
    yield stack
    stack.start()
