"""The commands of docs/updating.md."""

import os
import subprocess
import sys
from pathlib import Path

from tests.lib.readme import commands
from tests.lib.stack import run
from tests.lib.template import PAIRS, ROOT, generate

from .project import (
    PACKAGE,
    UPDATE,
    answers,
    assert_is_new,
    change,
    commit,
    contents,
    create,
    git,
    work_on,
)

PAGE = ROOT / "docs" / "updating.md"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# Generate from the page's address, as users do. Answers that are not given have their defaults.
COOKIECUTTER = [sys.executable, "-m", "cookiecutter", "gh:OWNER/REPO", "--checkout", "v1.0.0"]


def follow(folder: Path, heading: str) -> None:
    """Run the commands below a heading of the page, with Enter at each question."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(PAGE, heading)],
        cwd=folder,
        env=os.environ | {"PATH": PATH},
        input="\n" * 50,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_begin(template, tmp_path):
    """The project equals one of Cookiecutter, except for the signing key.

    It has a workflow that calls the template's own.
    """
    follow(tmp_path, "Begin")
    workflow = tmp_path / "my-flask-service" / ".github" / "workflows" / "conformance.yml"
    assert "uses: OWNER/REPO/.github/workflows/" in workflow.read_text(encoding="utf-8")
    made = contents(tmp_path / "my-flask-service")
    new = contents(generate(tmp_path / "new"))
    assert made.pop("secrets/secret_key") != new.pop("secrets/secret_key")
    assert made == new


def test_another_answer(template, tmp_path):
    """The files of the former answer are removed, and those of the new one are added."""
    before, after = PAIRS[:2]
    assert before.server == after.server
    project = commit(work_on(create(template, "v1.0.0", tmp_path, before)))
    follow(project, "Change an answer")
    assert_is_new(project, tmp_path / "new", after)


def test_rejects_and_conflicts(template, tmp_path):
    """The commands work for a removed file that the owner changed, and for a line changed twice."""
    project = create(template, "v1.0.0", tmp_path, PAIRS[0])
    change(project / "server" / "dropped.py", "Went", "Stays")
    change(project / "README.md", "## Former title", "## Own title")
    key = contents(commit(project))["secrets/secret_key"]
    run(UPDATE, cwd=project)
    assert (project / "README.md.rej").is_file()

    follow(project, "When files end in .rej")
    assert git(project, "status", "--porcelain") == ""
    git(project, "rm", "--quiet", "server/dropped.py")
    commit(project)
    follow(project, "Update")
    assert "UU README.md" in git(project, "status", "--porcelain").splitlines()
    conflict = "<<<<<<< ours\n## Own title\n=======\n## Where things are\n>>>>>>> theirs\n"
    assert conflict in (project / "README.md").read_text(encoding="utf-8")
    found = contents(project)
    assert not [name for name in found if name.endswith((".rej", ".orig"))]
    assert found["secrets/secret_key"] == key


def test_link_and_update(template, tmp_path):
    """A project of Cookiecutter with other answers than the defaults can be linked and updated."""
    choice = [f"{name}={answer}" for name, answer in answers(PAIRS[-1]).items()]
    run([*COOKIECUTTER, "--no-input", *choice], cwd=tmp_path)
    project = commit(work_on(tmp_path / "my-flask-service"))
    follow(project, "Link")
    assert_is_new(project, tmp_path / "new", PAIRS[-1])


def test_replay(template, tmp_path):
    """The template's files are restored; the owner's files and all secrets stay."""
    run([*COOKIECUTTER, "--no-input"], cwd=tmp_path)
    project = tmp_path / "my-flask-service"
    made = contents(project)
    work_on(project)
    follow(tmp_path, "Replay")
    found = contents(project)
    assert found.pop("secrets/secret_key") == b"their secret_key\n"
    del made["secrets/secret_key"]
    own = {f"{PACKAGE.as_posix()}/mine.py", ".env", "secrets/password"}
    assert found.keys() - made.keys() == own
    assert [name for name in made if found.get(name) != made[name]] == []
