"""The unit tests of projects with a database, with each combination of the other options."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.lib.readme import run_readme
from tests.lib.stack import run
from tests.lib.template import DATABASES, FACTS, OPTIONS, generate
from tests.readme_commands.test_checks import PROJECTS

CHOICES = [FACTS[question] for question in OPTIONS if question != "database"]
COMBINATIONS = [
    dict(zip(OPTIONS, answers, strict=True)) for answers in product(DATABASES, *CHOICES)
]
TEST_DATABASES = "SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'"
PSQL = ["exec", "-T", "db", "psql", "--username=app", "--tuples-only", "--no-align"]


def compose(project: Path, *arguments: str) -> str:
    """Run ``docker compose`` in a project; return its output."""
    return run(["docker", "compose", *arguments], cwd=project)


@pytest.fixture
def project(engine: None, answers: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """A new project with these answers; its containers, images and volumes are removed."""
    number = COMBINATIONS.index(answers)
    project = generate(tmp_path, project_slug=f"units-{number}-{os.getpid()}", **answers)
    yield project
    # Without the profile, the image of the tests would stay.
    compose(project, "--profile", "test", "down", "--volumes", "--rmi", "local", "--timeout", "5")


@pytest.mark.parametrize("answers", COMBINATIONS, ids=lambda answers: "-".join(answers.values()))
def test_unit_tests(project: Path, answers: dict[str, str]):
    """They pass, start nothing that they do not need, and leave no database behind."""
    printed = run_readme(project, "docker compose run --build --rm test")
    assert "Required test coverage" in printed
    assert compose(project, "ps", "--services").split() == ["db"]
    assert compose(project, *PSQL, f"--command={TEST_DATABASES}").strip() == "0"


def test_the_other_combinations_are_tested_elsewhere():
    """The unit tests of projects without a database, in tests/readme_commands/."""
    tested = {tuple(answers[question] for question in OPTIONS) for answers in PROJECTS}
    assert {("none", *answers) for answers in product(*CHOICES)} <= tested
