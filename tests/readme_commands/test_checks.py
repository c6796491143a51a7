"""The checks of generated projects: each pair of answers to the template's questions occurs."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from allpairspy import AllPairs

from tests.lib.development import developer
from tests.lib.stack import run
from tests.lib.template import FACTS, OPTIONS, ROOT, generate

QUESTIONS = {
    question: answers
    for question, answers in FACTS.items()
    if isinstance(answers, list) and not question.startswith("_")
}


def is_possible(row: list[str]) -> bool:
    """Return whether the template accepts these first answers, in the order of QUESTIONS."""
    answers = dict(zip(QUESTIONS, row, strict=False))
    platform = FACTS["_platforms"].get(answers.get("deploy_to"), {"runs_images": True})
    server = FACTS["_servers"][answers["wsgi_server"]]
    return platform["runs_images"] or not server["without_image"]


PROJECTS = [
    dict(zip(QUESTIONS, row, strict=True))
    for row in AllPairs(list(QUESTIONS.values()), filter_func=is_possible)
]
# The commands of the README, with one .venv for all projects.
INSTALL = """
python3 -m venv .venv
cd complete
../.venv/bin/pip install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
"""
CHECK = """
ln -s ../.venv .venv
.venv/bin/pytest --cov
git init --quiet
git add --all
.venv/bin/pre-commit run --all-files
"""

Prepare = Callable[[str], tuple[Path, list[str]]]


@pytest.fixture(scope="session")
def database(engine: None) -> Iterator[str]:
    """The URL of a database server, where each project's unit tests make a database of their own.

    Without it, each project would start a server.
    """
    start = ["docker", "run", "--detach", "--rm", "--publish", "127.0.0.1::5432"]
    start += ["--tmpfs", "/var/lib/postgresql/data", "--env", "PGDATA=/var/lib/postgresql/data"]
    start += ["--env", "POSTGRES_HOST_AUTH_METHOD=trust"]
    container = run([*start, FACTS["_databases"]["postgresql"]["image"]], cwd=ROOT).strip()
    try:
        address = run(["docker", "port", container, "5432/tcp"], cwd=ROOT).strip()
        yield f"postgresql://postgres@{address}/postgres"
    finally:
        run(["docker", "rm", "--force", container], cwd=ROOT)


@pytest.fixture(scope="session")
def prepare(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepare]:
    """A function that returns a folder for projects, and a command's start, for a Python version.

    The folder's .venv has the packages of all options. It is kept for the session, because these
    tests run among those of the pairs that their names begin with.
    """
    with ExitStack() as cleanup:

        @cache
        def prepare(version: str) -> tuple[Path, list[str]]:
            folder = tmp_path_factory.mktemp(f"checks-{version}-{os.getpid()}")
            (folder / ".python-version").write_text(version, encoding="utf-8")
            environ = {"MYPY_CACHE_DIR": str(folder / "mypy"), "DATABASE_URL": database}
            machine = cleanup.enter_context(developer(folder, **environ))
            generate(folder, project_slug="complete", python_version=version, **OPTIONS)
            run([*machine, "sh", "-ec", INSTALL], cwd=folder)
            return folder, machine

        yield prepare


@pytest.mark.parametrize("answers", PROJECTS, ids=lambda answers: "-".join(answers.values()))
def test_new_project_passes_its_checks(prepare: Prepare, answers: dict[str, str]):
    """Unit tests with coverage, linters and the type checker find nothing."""
    folder, machine = prepare(answers["python_version"])
    project = generate(folder, project_slug=f"project-{PROJECTS.index(answers)}", **answers)
    printed = run([*machine, "sh", "-ec", f"cd {project.name}\n{CHECK}"], cwd=folder)
    assert "Required test coverage" in printed
    assert "mypy" in printed
