"""A project with its owner's changes, which is updated to newer versions of the template."""

import json
import sys
from pathlib import Path

from tests.lib.stack import run
from tests.lib.template import Pair, generate

CRUFT = [sys.executable, "-m", "cruft"]
UPDATE = [*CRUFT, "update", "--skip-apply-ask"]
IGNORED = {".git", "__pycache__", ".cruft.json", "conformance.yml"}
PACKAGE = Path("src", "my_flask_service")

ROUTE = """

@blueprint.get("/hello")
def hello() -> str:
    return "Hello"
"""


def git(folder: Path, *arguments: str | Path) -> str:
    """Run git in a folder, and return its output."""
    return run(["git", *arguments], cwd=folder)


def change(file: Path, old: str, new: str) -> None:
    """Replace text that occurs once in a file. Fails otherwise."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} does not contain {old!r} once"
    file.write_text(text.replace(old, new), encoding="utf-8")


def answers(pair: Pair) -> dict[str, str]:
    """Return the answers for a pair."""
    return {"wsgi_server": pair.server, "proxy": pair.proxy}


def create(template: Path, version: str, into: Path, pair: Pair, *more: str) -> Path:
    """Create a project with cruft from a version of the template, and commit it."""
    options = ["--no-input", "--checkout", version, "--extra-context", json.dumps(answers(pair))]
    run([*CRUFT, "create", template, "--output-dir", into, *options, *more], cwd=into)
    return commit(into / "my-flask-service")


def commit(project: Path) -> Path:
    """Commit all files of a project that git does not ignore; create the repository if needed."""
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Work")
    return project


def work_on(project: Path) -> Path:
    """Make an owner's changes, but not in lines that differ between the template's versions."""
    change(project / "README.md", "</p>\n", "</p>\n\nAsk Ada when it is down.\n")
    blueprint = 'url_prefix="/health")\n'
    change(project / PACKAGE / "health.py", blueprint, blueprint + ROUTE)
    needs = "dependencies = [\n"
    change(project / "pyproject.toml", needs, f'{needs}    "sqlalchemy",\n')
    (project / PACKAGE / "mine.py").write_text("MINE = True\n", encoding="utf-8")
    (project / "tests" / "unit" / "test_logs.py").unlink()
    (project / ".env").write_text("PUBLISH_PORT=9000\nTOKEN=theirs\n", encoding="utf-8")
    for secret in ("secret_key", "password"):
        (project / "secrets" / secret).write_text(f"their {secret}\n", encoding="utf-8")
    return project


def contents(project: Path) -> dict[str, bytes | None]:
    """Return a project's files with their content, and its folders, without git's and cruft's.

    Leftovers of patches are included. Not so the workflow that names the template's repository: a
    project of a local copy has none.
    """
    return {
        path.relative_to(project).as_posix(): path.read_bytes() if path.is_file() else None
        for path in project.rglob("*")
        if not IGNORED & set(path.relative_to(project).parts)
    }


def assert_is_new(project: Path, into: Path, pair: Pair) -> None:
    """Check that an updated project equals a new one with the owner's changes."""
    found, expected = contents(project), contents(work_on(generate(into, **answers(pair))))
    wrong = {name for name in expected if found.get(name, b"missing") != expected[name]}
    assert not wrong, f"differs from a new project with the same changes: {sorted(wrong)}"
    left = found.keys() - expected.keys()
    assert not left, f"not in a new project: {sorted(left)}"
    # The update is staged, without conflicts and without other changes.
    changes = git(project, "status", "--porcelain").splitlines()
    staged = [line for line in changes if line[0] in "MADR" and line[1] == " "]
    assert staged
    assert [line for line in changes if line not in staged] == [" M .cruft.json"], changes
