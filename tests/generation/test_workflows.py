"""The workflows, this repository's and a generated project's: valid, careful, and whole."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from ..harness.template import FOLDER, PAIRS, ROOT
from .conftest import run_tool

GITHUB = ROOT / ".github"
# They are copied as they are, so they can be looked at where they lie.
GENERATED = FOLDER / "variants" / "ci" / "github" / ".github"
OWN = sorted((GITHUB / "workflows").glob("*.yml"))
WORKFLOWS = [*OWN, *sorted((GENERATED / "workflows").glob("*.yml"))]
workflow = pytest.mark.parametrize(
    "path", WORKFLOWS, ids=lambda path: ("own-" if path in OWN else "generated-") + path.name
)


def read(path):
    # YAML 1.1 takes the key "on" for true.
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def test_actionlint():
    run_tool("actionlint", *WORKFLOWS)


def test_zizmor():
    run_tool(
        "zizmor",
        "--offline",
        "--no-progress",
        "--persona=pedantic",
        "--quiet",
        GITHUB,
        GENERATED,
    )


def test_schemas():
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    files = [folder / "dependabot.yml" for folder in (GITHUB, GENERATED)]
    run_tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", *files)


def test_yamllint():
    run_tool("yamllint", "--strict", GITHUB, GENERATED, ROOT / ".yamllint")


@workflow
def test_jobs_are_limited(path):
    data = read(path)
    assert data["permissions"] == {}
    assert data["concurrency"]
    for job in data["jobs"].values():
        assert job["timeout-minutes"] <= 60
        # Nothing but a release may write anything.
        if job.get("if") != "startsWith(github.ref, 'refs/tags/v')":
            assert job.get("permissions", {}) in ({}, {"contents": "read"})


@workflow
def test_actions_are_pinned_by_commit_and_say_their_version(path):
    uses = re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))
    for use in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_an_action_has_one_version():
    """What is renewed here is renewed in the projects too."""
    texts = [path.read_text(encoding="utf-8") for path in WORKFLOWS]
    uses = {use for text in texts for use in re.findall(r"uses: *(.*)", text)}
    names = [use.partition("@")[0] for use in uses]
    assert len(names) == len(set(names)), sorted(uses)


def test_a_release_waits_for_every_other_job():
    jobs = read(GENERATED / "workflows" / "ci.yml")["jobs"]
    assert set(jobs["release"]["needs"]) == set(jobs) - {"release"}


@workflow
def test_no_step_can_push(path):
    """What a step starts could read the token that checkout leaves behind, unless told not to."""
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_make_knows_what_is_asked_of_it(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in steps(path):
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_matrix_is_every_pair(tmp_path):
    """Run the step itself, as the runner does."""
    (step,) = (step for step in steps(GITHUB / "workflows" / "ci.yml") if step.get("id") == "pairs")
    assert step["shell"] == "python"
    output = tmp_path / "output"
    subprocess.run(
        [sys.executable, "-c", step["run"]],
        cwd=ROOT,
        env={"GITHUB_OUTPUT": str(output)},
        check=True,
    )
    name, value = output.read_text(encoding="utf-8").strip().split("=", 1)
    assert name == "pairs"
    assert json.loads(value) == [str(pair) for pair in PAIRS]
    assert PAIRS
