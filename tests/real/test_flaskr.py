"""Flask's tutorial application, a blog in SQLite: the same results as with `flask run`.

The application is unchanged. flaskr.patch contains the owner's edits in the generated project.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.lib.stack import Stack, run, run_stack
from tests.lib.template import EACH_SERVER, Pair

from .conftest import HERE, FlaskRun, edits, make_project

CHANGE = HERE / "flaskr.patch"
WORD = "pässword"


@pytest.fixture(scope="module")
def stack(
    engine: None, pair: Pair, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Yield the running pair with flaskr and an empty database."""
    flaskr = sources["flask"] / "examples" / "tutorial" / "flaskr"
    project = make_project(pair, tmp_path_factory.mktemp(str(pair)), CHANGE, flaskr)
    with run_stack(pair, project, f"{project.name}-{os.getpid()}") as stack:
        stack.compose("exec -T app flask init-db")
        yield stack


@pytest.fixture(scope="session")
def expected(flask_run: FlaskRun, clients: Path, sources: dict[str, Path]) -> list[tuple]:
    """Return the responses of `flask run`."""
    tutorial = sources["flask"] / "examples" / "tutorial"
    run([clients / "flask", "--app", "flaskr", "init-db"], cwd=tutorial)
    with flask_run("flaskr") as url:
        return day(url)


def day(url: str) -> list[tuple]:
    """Use the blog as two users, with mistakes; return all responses."""
    seen = []

    def visit(user: requests.Session, path: str, **form: str) -> None:
        method = "POST" if form else "GET"
        response = user.request(method, url + path, data=form, allow_redirects=False, timeout=30)
        location = response.headers.get("Location", "")
        # The order of posts of the same second is undefined.
        lines = sorted(response.text.splitlines())
        if response.status_code >= 400:
            # The project's page of an error has the same text, in the project's style.
            lines = re.findall("<(?:h1|p)>(.*)</", response.text)
        seen.append((method, path, response.status_code, location, lines))

    with requests.Session() as ann, requests.Session() as bob:
        for user, name in ((ann, "ann"), (bob, "bøb")):
            visit(user, "/auth/register")
            visit(user, "/auth/register", username=name, password="")
            visit(user, "/auth/register", username=name, password=WORD)
            visit(user, "/auth/register", username=name, password=WORD)
            visit(user, "/auth/login", username=name, password=WORD + "!")
            visit(user, "/auth/login")
            visit(user, "/auth/login", username=name, password=WORD)
            visit(user, "/create", title="", body="")
            visit(user, "/create", title=f"First of {name}", body="Ünïcode\n" * 5000)
            visit(user, "/")
        visit(ann, "/1/update", title="Changed", body="<b>not bold</b>")
        for path in ("/1/update", "/1/delete", "/7/delete"):
            visit(bob, path, title="Not his", body="")
        visit(bob, "/2/delete", title="His", body="")
        visit(bob, "/")
        visit(bob, "/auth/logout")
        visit(bob, "/create")
        visit(bob, "/static/style.css")
        visit(bob, "/hello")
    return seen


def check_day(stack: Stack, expected: list[tuple]) -> None:
    """Check that a day of use has the responses of `flask run`, and that posts persist."""
    assert [status for _, _, status, _, _ in expected[-10:]] == [
        *(302, 403, 403, 404, 302),
        *(200, 302, 302, 200, 200),
    ]
    for here, there in zip(day(stack.url), expected, strict=True):
        assert here == there
    # Posts and sessions persist when the containers are replaced.
    stack.compose("up --force-recreate --wait --no-build")
    page = stack.get("/").text
    assert re.findall("<h1>(.*)</h1>", page)[1:] == ["Posts", "Changed"]
    assert stack.request("POST", "/auth/login", data={"username": "ann", "password": WORD}).ok


def test_a_day_of_use_matches_flask_run(stack, expected):
    check_day(stack, expected)


def test_few_lines_are_edited():
    assert edits(CHANGE) == 6


@pytest.mark.pairs(EACH_SERVER[:1])
def test_the_projects_own_tests_pass(stack):
    """The project's tests pass with another package, except those of the replaced front page."""
    command = "python -m pytest --ignore tests/unit/test_pages.py"
    told = stack.compose(f"run --build --rm --no-TTY test {command}")
    assert " passed" in told
