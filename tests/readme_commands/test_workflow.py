"""The workflow of a generated project, run as far as possible outside GitHub."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.lib.development import developer
from tests.lib.locks import pins
from tests.lib.stack import CA_BUNDLE, run
from tests.lib.template import FACTS, FOLDER, OPTIONS, PYTHON_VERSIONS, SERVERS, generate
from tests.lib.workflow import NotUnderstood, Runner, StandIn, Values, resolve
from tests.lib.workflow import jobs as workflow_jobs

# The engine may be shared, unlike that of a GitHub runner, so the names must be unique.
NAME = f"workflow-{os.getpid()}"
GITHUB = {
    "github.ref": "refs/tags/v1.2.3",
    "github.sha": "0" * 40,
    "github.server_url": "https://github.com",
    "github.repository": f"Owner/{NAME}",
    "github.actor": "owner",
    "github.token": "none",
}

# Not offered by the template yet.
NEXT_PYTHON = "3.15"

# Actions without a replacement, with the reason.
NOT_RUN = {
    "anchore/scan-action": "it downloads a database of vulnerabilities",
    "docker/setup-qemu-action": "base images exist only for this machine's architecture",
    "docker/setup-buildx-action": "the engine's own builder is enough for one architecture",
    "docker/login-action": "there is no registry to push to",
    "actions/attest": "a service of GitHub signs the attestation",
}


# There is no registry, and the engine's builder writes no OCI archives: "docker save" writes them
# instead. The script records each pushed name with the image's digest.
SKOPEO = """#!/usr/bin/env bash
set -eu
here=$(dirname "$0")
archive() { docker load --quiet --input "${1#oci-archive:}" | sed -n 's/^Loaded image.*: //p'; }
case "$*" in
"copy oci-archive:"*" docker-archive:"*)
    IFS=: read -r _ file name <<< "$3"
    docker tag "$(archive "$2")" "$name"
    docker save --output "$file" "$name" ;;
"copy --all --preserve-digests --digestfile "*" oci-archive:"*" docker://"*)
    digest=$(docker image inspect --format '{{.Id}}' "$(archive "$6")")
    printf %s "$digest" > "$5"
    echo "${7#docker://} $digest" >> "$here/pushed" ;;
*) exit 1 ;;
esac
"""


class Machine:
    """Runs a job in a new folder, with replacements of the actions that it uses.

    ``artifacts`` is the folder for the artifacts of all jobs.
    """

    def __init__(self, repository: Path, folder: Path, artifacts: Path, cleanup: ExitStack) -> None:
        self.repository = repository
        self.artifacts = artifacts
        self.cleanup = cleanup
        self.temp = folder.with_name("temp")
        self.programs = folder.with_name("programs")
        for new in (folder, self.temp, self.programs):
            new.mkdir()
        skopeo = self.programs / "skopeo"
        skopeo.write_text(SKOPEO, encoding="utf-8")
        skopeo.chmod(0o755)
        stand_ins: dict[str, StandIn] = dict.fromkeys(NOT_RUN, lambda values: {})
        stand_ins |= {
            "actions/checkout": self.check_out,
            "actions/setup-python": self.set_python_up,
            "anchore/sbom-action": self.find_image,
            "docker/metadata-action": self.name_image,
            "docker/build-push-action": self.build,
            "actions/upload-artifact": self.upload,
            "actions/download-artifact": self.download,
        }
        path = f"{self.programs}:{os.environ['PATH']}"
        self.runner = Runner(
            folder,
            stand_ins,
            {**GITHUB, "runner.temp": str(self.temp)},
            {"COMPOSE_PROJECT_NAME": NAME},
            ["env", f"PATH={path}", f"GITHUB_STEP_SUMMARY={self.temp / 'summary'}"],
        )

    def check_out(self, values: Values) -> Values:
        """Clone the repository, without the uncommitted signing key, into an empty folder."""
        folder = self.runner.folder
        shutil.rmtree(folder)
        run(["git", "clone", "--quiet", self.repository, folder], cwd=self.repository)
        return {}

    def set_python_up(self, values: Values) -> Values:
        """Run later steps on a machine with the project's Python version."""
        assert values == {"python-version-file": ".python-version"}
        self.runner.within = self.cleanup.enter_context(
            # The unit tests start a database.
            developer(self.runner.folder, with_docker=True)
        )
        return {}

    def find_image(self, values: Values) -> Values:
        """Check only that the image exists: the SBOM tool would have to be downloaded."""
        run(["docker", "image", "inspect", values["image"]], cwd=self.repository)
        return {}

    def name_image(self, values: Values) -> Values:
        """Return a release's image name, derived from the tag."""
        assert values["tags"] == "type=match,pattern=v(.*),group=1"
        version = GITHUB["github.ref"].removeprefix("refs/tags/v")
        return {"tags": f"{values['images'].lower()}:{version}", "labels": f"version={version}"}

    def build(self, values: Values) -> Values:
        """Build an image for this machine's architecture, and save it as an archive.

        It uses the engine's local base images: a registry may be unavailable.
        """
        assert values["pull"] is True
        kind, file = values["outputs"].split(",dest=")
        assert kind == "type=oci"
        name = f"{NAME}-built-{values['target']}"
        command = ["docker", "build", "--quiet", "--target", values["target"], "--tag", name]
        for label in values["labels"].splitlines():
            command += ["--label", label]
        if CA_BUNDLE.is_file():
            command += ["--secret", f"id=ca_bundle,src={CA_BUNDLE}"]
        run([*command, values["context"]], cwd=self.runner.folder)
        run(["docker", "save", "--output", file, name], cwd=self.runner.folder)
        return {}

    def upload(self, values: Values) -> Values:
        """Store a file for other jobs."""
        place = self.artifacts / values["name"]
        place.mkdir(exist_ok=True)
        shutil.copy(values["path"], place)
        return {}

    def download(self, values: Values) -> Values:
        """Copy the artifacts of other jobs: a single one, or the merged files of several."""
        assert values.get("merge-multiple", False) is ("pattern" in values)
        found = list(self.artifacts.glob(values.get("pattern", values.get("name"))))
        assert found, "no artifact: the job that uploads it must run before this job"
        for artifact in found:
            shutil.copytree(artifact, values["path"], dirs_exist_ok=True)
        return {}


@pytest.fixture(scope="module")
def repository(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new project with all options, committed."""
    project = generate(tmp_path_factory.mktemp("workflow"), project_slug="workflow", **OPTIONS)
    author = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
    run(["git", "init", "--quiet"], cwd=project)
    run(["git", "add", "--all"], cwd=project)
    run(["git", *author, "commit", "--quiet", "--message=Start"], cwd=project)
    return project


@pytest.fixture(scope="module", autouse=True)
def no_images_left(repository: Path) -> Iterator[None]:
    """Remove the images of the jobs at the end."""
    yield
    # Remove names, not image ids: an image may also have a name that belongs to others.
    list_them = ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}"]
    if names := run([*list_them, f"--filter=reference={NAME}-*"], cwd=repository).split():
        run(["docker", "image", "rm", *names], cwd=repository)


@pytest.fixture(scope="module")
def jobs(repository: Path) -> Values:
    """Return the jobs of the project's workflow."""
    return workflow_jobs(repository / ".github" / "workflows" / "ci.yml")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for artifacts."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def machine(repository: Path, tmp_path: Path, artifacts: Path) -> Iterator[Machine]:
    """Yield a machine for one job."""
    with ExitStack() as cleanup:
        yield Machine(repository, tmp_path / NAME, artifacts, cleanup)


@pytest.fixture(scope="module")
def built(
    repository: Path, jobs: Values, artifacts: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Run the job that builds the images."""
    with ExitStack() as cleanup:
        folder = tmp_path_factory.mktemp("images") / NAME
        machine = Machine(repository, folder, artifacts, cleanup)
        printed = machine.runner.run_job(jobs["images"])
        assert printed == "", "the job must have only actions, no commands"


@pytest.fixture(scope="module")
def paired(
    repository: Path,
    jobs: Values,
    built: None,
    artifacts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runner]:
    """Yield the machine of the job that runs the pair, after the job."""
    with ExitStack() as cleanup:
        machine = Machine(repository, tmp_path_factory.mktemp("pair") / NAME, artifacts, cleanup)
        down = ["docker", "compose", "--project-name", NAME, "down", "--volumes"]
        cleanup.callback(run, down, cwd=machine.runner.folder)
        machine.runner.run_job(jobs["pair"])
        yield machine.runner


def test_every_action_has_a_stand_in_or_a_reason(jobs: Values, machine: Machine):
    steps = [step for job in jobs.values() for step in job["steps"]]
    used = {step["uses"].partition("@")[0] for step in steps if "uses" in step}
    assert used == set(machine.runner.stand_ins)


def test_checks(jobs: Values, machine: Machine):
    printed = machine.runner.run_job(jobs["checks"])
    assert "mypy" in printed and "Failed" not in printed
    assert "Required test coverage" in printed


def test_requests_go_through_the_proxy(paired: Runner):
    log = run(["docker", "compose", "--project-name", NAME, "logs", "proxy"], cwd=paired.folder)
    assert "/nothing-here" in log


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("run --build --rm test", "run --build --rm tset"),
        ("port proxy 8080", "port proxy 8081"),
        ("_NAME-test", "_NAME-app"),
    ],
)
def test_a_mistake_is_detected(jobs: Values, paired: Runner, right: str, wrong: str):
    """The job fails, and its step for failures runs."""
    job = jobs["pair"]
    (step,) = [step for step in job["steps"] if right in step.get("run", "")]
    broken = step | {"run": step["run"].replace(right, wrong)}
    report = {"if": "failure()", "run": "touch reported"}
    with pytest.raises(AssertionError):
        paired.run_job(job | {"steps": [broken, report]})
    (paired.folder / "reported").unlink()


def test_the_tested_commit_is_released(jobs: Values, paired: Runner, machine: Machine):
    machine.runner.run_job(jobs["release"])
    pushed = (machine.programs / "pushed").read_text(encoding="utf-8").splitlines()
    summary = (machine.temp / "summary").read_text(encoding="utf-8").splitlines()
    for image, line, told in zip(("app", "proxy"), pushed, summary, strict=True):
        name, digest = line.split()
        assert name == f"ghcr.io/owner/{NAME}-{image}:1.2.3"
        assert told == f"`ghcr.io/owner/{NAME}-{image}@{digest}`"
        ran = ["docker", "image", "inspect", "--format", "{{.Id}}", f"{NAME}-{image}"]
        assert run(ran, cwd=machine.runner.folder).strip() == digest


@pytest.mark.parametrize(("version", "latest"), [("1.2.3", "true"), ("1.2.3-rc.1", "false")])
def test_only_a_release_is_the_latest(jobs: Values, version: str, latest: str):
    (names,) = [step for step in jobs["release"]["steps"] if step.get("id") == "names"]
    told = resolve(names["with"]["flavor"], {"github.ref": f"refs/tags/v{version}"})
    assert told == f"latest={latest}"


@pytest.mark.parametrize("server", SERVERS)
def test_every_pin_has_a_wheel_for_arm(jobs: Values, server: str, tmp_path: Path):
    """Each pin has a wheel for ARM, except a server that is compiled in the image.

    The test does not build ARM images: base images exist only for this machine's architecture.
    """
    (build,) = [
        step["with"] for step in jobs["images"]["steps"] if "target" in step.get("with", {})
    ]
    assert build["platforms"] == "linux/amd64,linux/arm64"
    project = generate(tmp_path, wsgi_server=server, **OPTIONS)
    # The other locks are the same for each server.
    shared = ["requirements.txt", "requirements-dev.txt"] if server == SERVERS[0] else []
    found: dict[str, str] = {}
    for name in [*shared, "server/requirements.txt"]:
        found |= pins((project / name).read_text(encoding="utf-8"))
    facts = FACTS["_servers"][server]
    if facts["debian_packages"]["build"]:
        del found[canonicalize_name(facts["requirement"])]
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(found.values()), encoding="utf-8")
    uv = Path(sys.executable).parent / "uv"
    for version in PYTHON_VERSIONS:
        command = [uv, "pip", "install", "--quiet", "--target", tmp_path / version]
        command += ["--link-mode", "symlink"]  # to uv's cache, without copies
        command += ["--python-platform", "aarch64-manylinux_2_40", "--python-version", version]
        command += ["--only-binary", ":all:", "--require-hashes", "--no-deps"]
        run([*command, "--requirement", lock], cwd=tmp_path)


def test_the_next_python_is_offered_once_every_server_installs_on_it(tmp_path: Path):
    """Until then, the prompt names the servers that have no wheel for it."""
    uv = Path(sys.executable).parent / "uv"
    variants = FOLDER / "variants" / "wsgi_server"
    waiting = []
    for server, facts in FACTS["_servers"].items():
        if facts["debian_packages"]["build"]:  # compiled in the image
            continue
        command = [uv, "pip", "install", "--quiet", "--target", tmp_path / server]
        command += ["--link-mode", "symlink", "--python-version", NEXT_PYTHON]
        command += ["--python-platform", "x86_64-manylinux_2_40", "--only-binary", ":all:"]
        lock = variants / server / "server" / "requirements.txt"
        try:
            run([*command, "--no-deps", "--requirement", lock], cwd=tmp_path)
        except AssertionError as error:
            assert "no usable wheels" in str(error)
            waiting.append(facts["title"])
    assert waiting, f"all servers support Python {NEXT_PYTHON}: offer it"
    newest = FACTS["__prompts__"]["python_version"][PYTHON_VERSIONS[0]]
    verb = "does" if len(waiting) == 1 else "do"
    assert newest.endswith(f"; {' and '.join(waiting)} {verb} not support {NEXT_PYTHON} yet")


@pytest.mark.parametrize(
    "change",
    [
        {"run": "echo ${{ secrets.KEY }}"},
        {"run": "echo ${{ matrix.image || 'app' }}"},
        {"if": "always()"},
        {"continue-on-error": True},
        {"shell": "sh"},
    ],
    ids=str,
)
def test_unsupported_syntax_is_rejected(tmp_path: Path, change: Values):
    runner = Runner(tmp_path, {}, GITHUB)
    with pytest.raises(NotUnderstood):
        runner.run_job({"name": "Job", "steps": [{"run": "true"} | change]})
