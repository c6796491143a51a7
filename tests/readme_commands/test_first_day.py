"""First-day errors: the README has each message, and its solution works."""

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.lib.index import PASSWORD, Index, private_index
from tests.lib.locks import commands
from tests.lib.readme import run_readme
from tests.lib.stack import CA_BUNDLE, run
from tests.lib.template import PAIRS, PYTHON_VERSIONS, generate

PYTHON_IMAGE = f"python:{PYTHON_VERSIONS[0]}-slim-trixie"
UP = "docker compose up --build --wait"


@pytest.fixture(scope="module")
def project(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a project whose images are built."""
    project = generate(
        tmp_path_factory.mktemp("first-day"),
        project_slug=f"first-day-{os.getpid()}",
        wsgi_server=PAIRS[0].server,
        proxy=PAIRS[0].proxy,
    )
    run(["docker", "compose", "build"], cwd=project)
    yield project
    run(["docker", "compose", "down", "--volumes", "--rmi", "local"], cwd=project)


def failure(command: str | list[str], project: Path, **environment: str) -> str:
    """Run a command that must fail; return its output."""
    done = subprocess.run(
        command.split() if isinstance(command, str) else command,
        cwd=project,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout


def in_container(command: str, *options: str) -> list[str]:
    """Return a command that runs in a minimal Python container."""
    return ["docker", "run", "--rm", *options, PYTHON_IMAGE, "sh", "-c", command]


def engine_away(project: Path) -> str:
    return failure(UP, project, DOCKER_HOST=f"unix://{project}/no.sock")


def no_compose_plugin(project: Path) -> str:
    client = shutil.which("docker")
    return failure(in_container(UP, "--volume", f"{client}:/usr/local/bin/docker:ro"), project)


def port_taken(project: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return failure(UP, project, PUBLISH_PORT=str(other.getsockname()[1]))


def port_of_a_container(project: Path) -> str:
    options = ["--detach", "--publish", "127.0.0.1::8080", PYTHON_IMAGE, "sleep", "60"]
    other = docker.from_env().containers.get(run(["docker", "run", *options], cwd=project).strip())
    try:
        (published,) = other.ports["8080/tcp"]
        return failure(UP, project, PUBLISH_PORT=published["HostPort"])
    finally:
        other.remove(force=True)


def key_missing(project: Path) -> str:
    (project / "secrets" / "secret_key").unlink()
    return failure(UP, project)


def key_empty(project: Path) -> str:
    (project / "secrets" / "secret_key").write_text("")
    return failure(UP, project)


def proxy_setting_wrong(project: Path) -> str:
    said = failure(UP, project, TRUSTED_PROXY_COUNT="x")
    assert "TRUSTED_PROXY_COUNT must be" in run_readme(project, "docker compose logs")
    return said


def key_unusable(project: Path) -> str:
    key = project / "secrets" / "secret_key"
    key.chmod(0o600)
    failure(UP, project)
    closed = run_readme(project, "docker compose logs app")
    assert "(Permission denied)" in closed
    run(["docker", "compose", "down", "--timeout", "1"], cwd=project)
    key.unlink()
    key.mkdir()
    failure(UP, project)
    folder = run_readme(project, "docker compose logs app")
    assert "(Is a directory)" in folder
    key.rmdir()
    return folder


def source_closed(project: Path) -> str:
    """Make the source unreadable, as a umask of 077 does; try the README's solution too."""
    package = next((project / "src").iterdir())
    package.chmod(0o700)
    develop = UP.replace("compose", "compose -f compose.yaml -f compose.dev.yaml").split()
    try:
        failure(develop, project)
        said = run_readme(project, "docker compose logs app")
        owner = f"DEV_USER={os.getuid()}:{os.getgid()}"
        run(["env", owner, "PUBLISH_PORT=0", *develop], cwd=project)
        return said
    finally:
        package.chmod(0o755)


def other_processor(project: Path) -> str:
    program = bytearray(Path("/bin/sh").read_bytes()[:64])
    program[18:20] = b"\xfe\xff"  # an invalid machine type in the ELF header
    (project / "program").write_bytes(program)
    (project / "program").chmod(0o755)
    options = ["--volume", f"{project}/program:/program:ro", "--entrypoint", "/program"]
    return failure(in_container("", *options), project)


def disk_full(project: Path) -> str:
    fill = "head -c 1M /dev/zero > /small/file"
    return failure(in_container(fill, "--tmpfs", "/small:size=64k"), project)


# Where there are several messages, Docker's release decides which one is shown.
SYMPTOMS = {
    engine_away: ["Cannot connect to the Docker daemon", "failed to connect to the docker API"],
    no_compose_plugin: ["unknown flag: --build", "unknown command: docker compose"],
    port_taken: ["address already in use"],
    port_of_a_container: ["port is already allocated"],
    key_missing: ["bind source path does not exist"],
    key_empty: ["app-1 is unhealthy"],
    proxy_setting_wrong: ["proxy-1 is unhealthy"],
    key_unusable: ["SECRET_KEY_FILE names"],
    source_closed: ["Could not import"],
    other_processor: ["exec format error"],
    disk_full: ["No space left on device"],
}
# Messages of the tests of the private index, below.
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
REFUSED = "401 Error, Credentials not correct"


def test_every_message_of_the_page_is_tested(project: Path):
    page = (project / "docs" / "troubleshooting.md").read_text("utf-8")
    told = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|(.+?)\|", page, re.MULTILINE)))
    assert told == [*itertools.chain(*SYMPTOMS.values()), UNTRUSTED, REFUSED]


@pytest.mark.parametrize("provoke", SYMPTOMS, ids=lambda provoke: provoke.__name__)
def test_the_message_is_shown(provoke: Callable[[Path], str], project: Path):
    try:
        said = provoke(project)
        assert any(message in said for message in SYMPTOMS[provoke]), said
    finally:
        # The solution for a missing key. If the key exists, a new one does no harm.
        run_readme(project, "mkdir -p -m 700 secrets")
        run(["docker", "compose", "down", "--timeout", "1"], cwd=project)


def test_only_a_new_key_and_a_free_port_are_needed(project: Path):
    """After the tests above, the README's commands work again."""
    run_readme(project, "docker compose up --build --wait")
    run_readme(project, "docker system df")


@pytest.fixture(scope="module")
def index(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Yield a private index with the project's packages, at an address that builds can reach."""
    wheels = tmp_path_factory.mktemp("wheels")
    options = ["--volume", f"{project}:/project:ro", "--volume", f"{wheels}:/wheels"]
    if CA_BUNDLE.is_file():
        options += ["--volume", f"{CA_BUNDLE}:/ca.pem:ro", "--env", "PIP_CERT=/ca.pem"]
    wanted = "-r /project/requirements.txt -r /project/server/requirements.txt"
    download = f"pip download --quiet --no-deps --require-hashes --dest /wheels {wanted}"
    run(in_container(download, *options), cwd=project)
    network = docker.from_env().networks.list(names=["bridge"])[0]
    host = network.attrs["IPAM"]["Config"][0]["Gateway"]
    with private_index(wheels, host, tmp_path_factory.mktemp("index")) as index:
        yield index


@pytest.fixture
def build(project: Path, index: Index, tmp_path: Path):
    """Return a function that returns the settings for a build from the index."""
    # Prevent that a cached build from another index is used.
    with (project / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write(f"# {uuid.uuid4()}\n")
    conf = tmp_path / "pip.conf"

    def settings(*, word: str = PASSWORD, authority: str | Path = index.authority):
        conf.write_text(f"[global]\nindex-url = {index.url(word)}\nretries = 0\n")
        return {"PIP_CONF": str(conf), "CA_BUNDLE": str(authority)}

    return settings


BUILD = "docker compose --progress plain build app"


def test_a_gateway_that_is_not_trusted(project: Path, build):
    assert UNTRUSTED in failure(BUILD, project, **build(authority="/dev/null"))


def test_an_index_with_another_password(project: Path, build):
    assert REFUSED in failure(BUILD, project, **build(word="wrong"))


def test_an_index_behind_a_password_leaves_none_in_the_image(project: Path, build):
    (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in build().items()))
    command = ["env", "-u", "CA_BUNDLE", *BUILD.split()]
    assert PASSWORD not in run(command, cwd=project)
    image = docker.from_env().images.get(f"{project.name}-app")
    assert PASSWORD not in str(image.history())
    rest = b""
    for chunk in image.save():
        assert PASSWORD.encode() not in rest + chunk
        rest = chunk[-len(PASSWORD) :]


def test_uv_pins_from_the_index_and_does_not_name_it(project: Path, index: Index, monkeypatch):
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url())
    monkeypatch.setenv("SSL_CERT_FILE", str(index.authority))
    # Only the application's lock: the other packages are not in this index.
    uv, *arguments = commands(project)["requirements.txt"]
    run([Path(sys.executable).with_name(uv), *arguments, "--upgrade"], cwd=project)
    lock = (project / "requirements.txt").read_text(encoding="utf-8")
    assert "\nflask==" in lock
    assert PASSWORD not in lock
    assert index.address not in lock
