"""Flask's tutorial application, moved from SQLite to the project's PostgreSQL by its owner.

flaskr_postgresql.patch contains the owner's edits: models in place of schema.sql, the same SQL
with the placeholders of SQLAlchemy. The project's command writes the migration.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.stack import Stack, run_stack
from tests.lib.template import DATABASES, EACH_SERVER, Pair

from .conftest import HERE, edits, make_project
from .test_flaskr import check_day, expected  # noqa: F401

CHANGE = HERE / "flaskr_postgresql.patch"
# A server with threads, and one with greenlets.
pytestmark = pytest.mark.pairs(EACH_SERVER[::4])


@pytest.fixture(scope="module")
def stack(
    engine: None, pair: Pair, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Yield the running pair with flaskr and its tables."""
    flaskr = sources["flask"] / "examples" / "tutorial" / "flaskr"
    into = tmp_path_factory.mktemp(str(pair))
    project = make_project(pair, into, CHANGE, flaskr, database=DATABASES[0])
    with run_stack(pair, project, f"{project.name}-{os.getpid()}") as stack:
        versions = "src/service/migrations/versions"
        mount = f"--user {os.getuid()} --volume {project}/{versions}:/app/{versions}"
        stack.compose(f"run --rm --no-TTY {mount} migrate flask db migrate --message flaskr")
        stack.compose("up --build --wait")
        stack.wait_for_upstream()
        yield stack


def test_a_day_of_use_matches_flask_run(stack, expected):  # noqa: F811
    check_day(stack, expected)
    assert "No new upgrade operations" in stack.compose("exec -T app flask db check")


def test_edited_lines():
    assert edits(CHANGE) == 111


@pytest.mark.pairs(EACH_SERVER[:1])
def test_the_projects_own_tests_pass(stack):
    command = "python -m pytest --ignore tests/unit/test_pages.py"
    assert " passed" in stack.compose(f"run --build --rm --no-TTY test {command}")
