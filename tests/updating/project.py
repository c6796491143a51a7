"""A project with its owner's changes, which is updated to newer versions of the template."""

import json
import sys
from pathlib import Path

from ..harness.stack import run
from ..harness.template import Pair, generate

CRUFT = [sys.executable, "-m", "cruft"]
UPDATE = [*CRUFT, "update", "--skip-apply-ask"]
PACKAGE = Path("src", "my_flask_service")

ROUTE = """

@blueprint.get("/hello")
def hello() -> str:
    return "Hello"
"""


def git(folder: Path, *arguments: str | Path) -> str:
    """Run git in a folder, and return what it printed."""
    return run(["git", *arguments], cwd=folder)


def change(file: Path, old: str, new: str) -> None:
    """Replace text that stands once in a file. Fails where it does not."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} does not hold {old!r} once"
    file.write_text(text.replace(old, new), encoding="utf-8")


def answers(pair: Pair) -> dict[str, str]:
    """Return the answers that choose a pair."""
    return {"wsgi_server": pair.server, "proxy": pair.proxy}


def create(template: Path, version: str, into: Path, pair: Pair, *more: str) -> Path:
    """Make a project by cruft from a version of the template, and commit it."""
    options = ["--no-input", "--checkout", version, "--extra-context", json.dumps(answers(pair))]
    run([*CRUFT, "create", template, "--output-dir", into, *options, *more], cwd=into)
    return commit(into / "my-flask-service")


def commit(project: Path) -> Path:
    """Commit all that git does not ignore in a project, which git may not know yet."""
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Work")
    return project


def work_on(project: Path) -> Path:
    """Do what a project's owner does; not at the lines that the versions changed."""
    change(project / "README.md", "</p>\n", "</p>\n\nAsk Ada when it is down.\n")
    change(project / PACKAGE / "pages.py", "__name__)\n", f"__name__)\n{ROUTE}")
    needs = "dependencies = [\n"
    change(project / "pyproject.toml", needs, f'{needs}    "sqlalchemy",\n')
    (project / PACKAGE / "mine.py").write_text("MINE = True\n", encoding="utf-8")
    (project / "tests" / "unit" / "test_logs.py").unlink()
    (project / ".env").write_text("PUBLISH_PORT=9000\nTOKEN=theirs\n", encoding="utf-8")
    for secret in ("secret_key", "password"):
        (project / "secrets" / secret).write_text(f"their {secret}\n", encoding="utf-8")
    return project


def contents(project: Path) -> dict[str, bytes | None]:
    """Return all files of a project with their content, and its folders, without git's and cruft's.

    What a patch left behind would be among them.
    """
    return {
        path.relative_to(project).as_posix(): path.read_bytes() if path.is_file() else None
        for path in project.rglob("*")
        if not {".git", "__pycache__", ".cruft.json"} & set(path.relative_to(project).parts)
    }


def assert_is_new(project: Path, into: Path, pair: Pair) -> None:
    """Check that an update made what the working tree makes, with its owner's work, and no more."""
    found, expected = contents(project), contents(work_on(generate(into, **answers(pair))))
    wrong = {name for name in expected if found.get(name, b"missing") != expected[name]}
    assert not wrong, f"not as in a new project with the same work: {sorted(wrong)}"
    left = found.keys() - expected.keys()
    assert not left, f"in no new project: {sorted(left)}"
    # Its owner finds it staged, without conflicts, and nothing beside.
    changes = git(project, "status", "--porcelain").splitlines()
    staged = [line for line in changes if line[0] in "MADR" and line[1] == " "]
    assert staged
    assert [line for line in changes if line not in staged] == [" M .cruft.json"], changes
