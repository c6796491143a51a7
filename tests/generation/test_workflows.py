"""The workflows of this repository and of generated projects: valid, secure and complete."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.lib.template import FACTS, FOLDER, PAIRS, ROOT

from .conftest import run_tool

GITHUB = ROOT / ".github"
# They are copied without rendering, so they can be checked in place.
GENERATED = FOLDER / "variants" / "ci" / "github" / ".github"
OWN_FOLDER = GITHUB / "workflows"
OWN = sorted(OWN_FOLDER.glob("*.yml"))
OF_PROJECTS = sorted((GENERATED / "workflows").glob("*.yml"))
WORKFLOWS = OWN + OF_PROJECTS
workflow = pytest.mark.parametrize(
    "path", WORKFLOWS, ids=lambda path: ("own-" if path in OWN else "generated-") + path.name
)


def read(path):
    # YAML 1.1 reads the key "on" as true.
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", [])]


# This repository's workflows are linted before each commit: see .pre-commit-config.yaml.
def test_actionlint():
    run_tool("actionlint", *OF_PROJECTS)


def test_zizmor():
    run_tool("zizmor", "--offline", "--no-progress", "--persona=pedantic", "--quiet", GENERATED)


def test_schemas():
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *OF_PROJECTS)
    run_tool(
        "check-jsonschema", "--builtin-schema", "vendor.dependabot", GENERATED / "dependabot.yml"
    )


def test_yamllint():
    run_tool("yamllint", "--strict", GENERATED)


@workflow
def test_jobs_are_limited(path):
    data = read(path)
    assert data["permissions"] == {}
    assert data["concurrency"]
    for job in data["jobs"].values():
        if "uses" in job:
            # The called workflow has the limit.
            assert job["permissions"] == {"contents": "read"}
            continue
        assert job["timeout-minutes"] <= 60
        if "write" in job.get("permissions", {}).values():
            # A job with write permissions runs last, and runs no code of a pull request.
            assert "needs" in job and "pull_request" not in job["if"]
            assert not any("make " in step.get("run", "") for step in job["steps"])
            released = job["if"] == "startsWith(github.ref, 'refs/tags/v')"
            assert released or "pull_request" not in data[True]


@workflow
def test_actions_are_pinned_by_commit_and_say_their_version(path):
    uses = re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))
    for use in uses:
        if use.startswith("OWNER/REPO/"):  # this repository's workflow, by its major version
            continue
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_an_action_has_one_version():
    """This repository and the projects use the same version of each action."""
    texts = [path.read_text(encoding="utf-8") for path in WORKFLOWS]
    uses = {use for text in texts for use in re.findall(r"uses: *(.*)", text)}
    names = [use.partition("@")[0] for use in uses]
    assert len(names) == len(set(names)), sorted(uses)


@pytest.mark.parametrize("folder", [GITHUB, GENERATED], ids=["own", "generated"])
def test_a_release_waits_for_every_other_job(folder):
    jobs = read(folder / "workflows" / "ci.yml")["jobs"]
    assert set(jobs["release"]["needs"]) == set(jobs) - {"release"}


@workflow
def test_no_step_can_push(path):
    """Checkout does not keep its token, which programs of later steps could read."""
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_projects_build_once_and_from_the_newest_base_images():
    """The tested images are released: no other job builds an image of the service."""
    jobs = read(GENERATED / "workflows" / "ci.yml")["jobs"]
    builds = {
        name: step["with"]
        for name, job in jobs.items()
        for step in job["steps"]
        if step.get("uses", "").startswith("docker/build-push-action@")
    }
    assert list(builds) == ["images"]
    assert builds["images"]["pull"] is True
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    # The image for the unit tests is not released.
    assert re.findall(r"docker compose .*--build.*", commands) == [
        "docker compose run --build --rm test"
    ]
    assert "docker compose up --no-build" in commands
    (push,) = [step["run"] for step in jobs["release"]["steps"] if step.get("id") == "push"]
    assert "--preserve-digests" in push


@pytest.mark.parametrize("name", ["ci.yml", "conformance.yml", "scan.yml"])
def test_projects_without_changes_are_checked_every_week(name):
    (schedule,) = read(GENERATED / "workflows" / name)[True]["schedule"]
    minute, hour, day, month, weekday = schedule["cron"].split()
    assert (day, month) == ("*", "*")
    assert minute.isdigit() and hour.isdigit() and weekday.isdigit()


def test_the_newest_release_is_scanned(runner):
    """The step returns the image name of the newest release, or nothing without a release."""
    (find,) = [
        step["run"]
        for step in steps(GENERATED / "workflows" / "scan.yml")
        if step.get("id") == "newest"
    ]
    told = {"GITHUB_REPOSITORY": "Owner/Name", "IMAGE": "app"}
    nothing = runner.run(find, **told)
    assert nothing.returncode == 0 and "no release" in nothing.stdout
    assert runner.read("output") == ""
    tag = "git tag v1.9.0 && git tag v1.10.0 && git tag v1.11.0-rc.1 && git tag other"
    assert runner.run(tag).returncode == 0
    assert runner.run(find, **told).returncode == 0
    assert runner.read("output") == "image=ghcr.io/owner/name-app:1.10.0\n"


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_make_targets_in_pages_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in steps(path):
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def step_of(workflow, word):
    """Return the script of the step whose name contains this word."""
    (found,) = (step for step in steps(OWN_FOLDER / workflow) if word in step.get("name", ""))
    return found["run"]


def test_the_matrix_is_every_pair(tmp_path):
    """The step, run as the runner does, returns every pair."""
    output = tmp_path / "output"
    subprocess.run(
        [sys.executable, "-c", step_of("ci.yml", "pairs")],
        cwd=ROOT,
        env={"GITHUB_OUTPUT": str(output)},
        check=True,
    )
    name, value = output.read_text(encoding="utf-8").strip().split("=", 1)
    assert name == "pairs"
    assert json.loads(value) == [str(pair) for pair in PAIRS]
    assert PAIRS


@dataclass
class Runner:
    """A minimal GitHub runner: a checkout, and a `gh` that records its arguments."""

    folder: Path

    def run(self, script, **variables):
        """Run a step's script in the checkout."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder / "checkout",
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, name):
        """Return the text of a file next to the checkout, or an empty text."""
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.exists() else ""


@pytest.fixture
def runner(tmp_path):
    gh = tmp_path / "gh"
    gh.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ $2 != list ] || echo $OPEN\n'
        '[ -z "$FAILS" ] || [ "$3" != "$FAILS" ]\n'
    )
    gh.chmod(0o755)
    (tmp_path / "checkout").mkdir()
    runner = Runner(tmp_path)
    made = runner.run(
        "git init --quiet --bare ../origin && git init --quiet --initial-branch main &&"
        "git remote add origin ../origin && echo a==1 > lock && git add lock &&"
        "git -c user.name=A -c user.email=a@b.example commit --quiet --message first"
    )
    assert made.returncode == 0, made.stderr
    return runner


@pytest.mark.parametrize("already_open", ["0", "1"])
def test_new_locks_are_proposed(runner, already_open):
    keep, propose = step_of("locks.yml", "Keep"), step_of("locks.yml", "Push")
    assert runner.run(keep).returncode == 0
    assert runner.read("output") == ""
    assert runner.run(f"echo a==2 > lock && {keep}").returncode == 0
    assert runner.read("output") == "changed=true\n"
    # The next job starts with a fresh checkout.
    done = runner.run(f"git checkout --quiet . && {propose}", OPEN=already_open, RUN="the run")
    assert done.returncode == 0, done.stderr
    pushed = runner.run("git --git-dir ../origin show locks:lock").stdout
    assert pushed == "a==2\n"
    assert ("pr create --head locks" in runner.read("asked")) == (already_open == "0")


@pytest.mark.parametrize(
    ("already_open", "asked"), [("", "issue create"), ("7", "issue comment 7")]
)
def test_new_differences_become_one_issue(runner, already_open, asked):
    (runner.folder / "differences.txt").write_text("outcome of a:\n  all pairs: 200\n" * 5000)
    report = step_of("differential.yml", "issue")
    done = runner.run(report, OPEN=already_open, RUN="the run", TITLE="Pairs differ")
    assert done.returncode == 0, done.stderr
    assert asked in runner.read("asked")
    body = runner.read("body.md")
    assert "the run" in body.splitlines()[0]
    assert "      all pairs: 200" in body
    assert len(body) < 65536


def test_a_release_has_the_text_of_the_changelog(runner):
    changelog = "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.1.10\n\n- b\n\n## 1.1.1\n\n- a\n"
    (runner.folder / "checkout" / "CHANGELOG.md").write_text(changelog)
    publish = step_of("ci.yml", "Publish")
    assert runner.run(publish, GITHUB_REF_NAME="v1.1.1").returncode == 0
    assert runner.read("notes.md").strip() == "- a"
    assert runner.read("asked").startswith("release create v1.1.1 --verify-tag")
    refused = runner.run(publish, GITHUB_REF_NAME="v1.2.0")
    assert refused.returncode == 1
    assert "has no section 1.2.0" in refused.stderr


@pytest.mark.parametrize("exists", [True, False])
def test_a_release_moves_the_tag_of_its_major_version(runner, exists):
    """Projects call this repository's workflow by that tag."""
    told = {"GITHUB_REF_NAME": "v2.10.3", "GITHUB_SHA": "c0ffee", "GITHUB_REPOSITORY": "a/b"}
    move = step_of("ci.yml", "Move")
    assert runner.run(move, FAILS="" if exists else "PATCH", **told).returncode == 0
    asked = runner.read("asked").splitlines()
    moved = "api --method PATCH repos/a/b/git/refs/tags/v2 -f sha=c0ffee -F force=true"
    created = "api repos/a/b/git/refs -f ref=refs/tags/v2 -f sha=c0ffee"
    assert asked == ([moved] if exists else [moved, created])


def test_projects_call_the_workflow_of_the_newest_major_version():
    text = (GENERATED / "workflows" / "conformance.yml").read_text(encoding="utf-8")
    (major,) = re.findall(r"uses: OWNER/REPO/\S+@v(\d+) ", text)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d+)\.", changelog, re.MULTILINE)[0] == major


def test_the_changelog_has_what_a_release_looks_for():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert unreleased == "Unreleased"
    versions = [tuple(map(int, heading.split(".", 2))) for heading in released]
    assert versions == sorted(versions, reverse=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == released[0]


def test_the_issue_form_offers_what_the_template_does():
    """The form has the template's choices; the pair is free text, not a list of names."""
    form = read(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")["body"]
    fields = {field["id"]: field["attributes"] for field in form if "id" in field}
    assert fields["pair"]
    assert fields["python_version"]["options"] == FACTS["python_version"]
    assert [*fields["deploy_to"]["options"], "all"] == FACTS["deploy_to"]
