"""Both containers have what they need and nothing more, according to the engine and from inside.

These parts are in the containers on purpose:

- apt, dpkg and perl are parts of Debian that other packages and vulnerability scanners need.
  They cannot install anything as an unprivileged user on a read-only file system.
- Programs with a set-user-id bit gain no privileges under no-new-privileges.
- The engine adds /dev/shm and /dev/mqueue: small, noexec, and needed for semaphores.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.lib.stack import Stack, wait_until
from tests.lib.template import EXPECTATIONS, FACTS

# Paths inside the containers, which have no other users.
TMP, SHARED_MEMORY = "/tmp", "/dev/shm"  # noqa: S108

both = pytest.mark.parametrize("service", ["app", "proxy"])


def inspect(stack: Stack, service: str) -> dict:
    return stack.container(service).attrs


def run(stack: Stack, service: str, script: str, **options) -> str:
    """Run a shell script in a container; return its stdout."""
    done = stack.container(service).exec_run(["sh", "-c", script], demux=True, **options)
    assert done.exit_code not in (126, 127), f"{script}: {done.output}"
    return (done.output[0] or b"").decode()


def status(stack: Stack, service: str) -> dict[str, str]:
    """Return the kernel's status of a container's first process."""
    # On a busy machine, the engine may lose the output of such a short program.
    lines = wait_until(lambda: run(stack, service, "cat /proc/1/status"), timeout=5).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@both
def test_user_is_a_number_and_not_root(stack: Stack, service: str):
    user = inspect(stack, service)["Config"]["User"]
    uid, gid = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", user).groups()
    kernel = status(stack, service)
    assert kernel["Uid"].split() == [uid] * 4
    assert kernel["Gid"].split() == [gid] * 4
    assert set(kernel["Groups"].split()) <= {gid}


@both
def test_no_capability_is_left(stack: Stack, service: str):
    host = inspect(stack, service)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    kernel = status(stack, service)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(kernel[name], 16) == 0, name


@both
def test_no_privilege_can_be_gained(stack: Stack, service: str):
    host = inspect(stack, service)["HostConfig"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not any("unconfined" in option for option in host["SecurityOpt"])
    kernel = status(stack, service)
    assert kernel["NoNewPrivs"] == "1"
    assert kernel["Seccomp"] == "2", "no seccomp filter"


@both
def test_nothing_is_shared_with_the_host(stack: Stack, service: str):
    host = inspect(stack, service)["HostConfig"]
    assert host["Privileged"] is False
    assert not host["Devices"]
    for name in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        assert host[name] != "host", name


@both
def test_only_the_temporary_folder_is_writable(stack: Stack, service: str):
    assert inspect(stack, service)["HostConfig"]["ReadonlyRootfs"] is True
    for mount in inspect(stack, service)["Mounts"]:
        assert mount["RW"] is False, mount
    # Runs as the container's user. Devices such as /dev/null are excluded.
    writable = run(
        stack,
        service,
        r"find / \( -path /proc -o -path /sys \) -prune -o -writable ! -type l ! -type c -print",
    ).split("\n")
    others = {path for path in writable if path and not path.startswith(f"{TMP}/")}
    assert {TMP} <= others <= {TMP, SHARED_MEMORY, "/dev/mqueue"}


def test_the_application_owns_none_of_its_files(stack: Stack):
    """Its code would not be writable even on a writable file system."""
    # Except the folder from which a volume inherits its owner.
    script = (
        r"find /app /opt/venv \( -uid $(id -u) -o -perm -o+w \) ! -type l ! -path /app/src/instance"
    )
    assert run(stack, "app", script) == ""


def test_nothing_is_compiled_at_each_start(stack: Stack):
    """The image contains all bytecode, because it cannot be written at startup."""
    assert stack.get("/probe/uncompiled").json() == []


@both
def test_tmpfs_is_limited_and_noexec(stack: Stack, service: str):
    # On a busy machine, the engine may lose the output of such a short program.
    lines = wait_until(lambda: run(stack, service, "cat /proc/mounts"), timeout=5).splitlines()
    mounts = [line.split() for line in lines]
    options = {path: options.split(",") for _, path, _, options, *_ in mounts}
    uploads = "131072k" if service == "proxy" else "262144k"
    for path, size in ((TMP, uploads), (SHARED_MEMORY, "65536k")):
        assert {"rw", "noexec", "nosuid", "nodev", f"size={size}"} <= set(options[path]), path
    # The default, which the kernel does not show: 1777, as usual for /tmp. Another mode needs an
    # owner, for which Podman has no option.
    assert not any(option.startswith("mode=") for option in options[TMP])


@both
def test_resources_are_limited(stack: Stack, service: str):
    host = inspect(stack, service)["HostConfig"]
    for name in ("Memory", "NanoCpus", "PidsLimit"):
        assert host[name] > 0, name
    assert inspect(stack, service)["State"]["OOMKilled"] is False


@both
def test_logs_are_rotated(stack: Stack, service: str):
    log = inspect(stack, service)["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


@both
def test_restarted_unless_stopped(stack: Stack, service: str):
    assert inspect(stack, service)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


@both
def test_healthy(stack: Stack, service: str):
    found = inspect(stack, service)
    assert found["Config"]["Healthcheck"]["Test"][0] == "CMD", "the health check uses a shell"
    assert found["State"]["Health"]["Status"] == "healthy"
    assert found["RestartCount"] == 0


def test_only_the_proxy_is_published_on_loopback(stack: Stack):
    assert not inspect(stack, "app")["HostConfig"]["PublishAllPorts"]
    assert not any(inspect(stack, "app")["NetworkSettings"]["Ports"].values())
    ports = inspect(stack, "proxy")["NetworkSettings"]["Ports"]
    (published,) = [found for found in ports.values() if found]
    assert [binding["HostIp"] for binding in published] == ["127.0.0.1"]


@both
def test_first_process_is_the_server(stack: Stack, service: str):
    """A shell as the first process would not forward the engine's signals."""
    config = inspect(stack, service)["Config"]
    for command in (config["Entrypoint"] or [], config["Cmd"]):
        assert command[:1] != ["/bin/sh"]
    assert status(stack, service)["Name"] not in ("sh", "dash", "bash")


@both
def test_stop_signal_is_the_servers_own(stack: Stack, service: str):
    if service == "app":
        entry = FACTS["_servers"][stack.pair.server]
    else:
        entry = FACTS["_proxies"][stack.pair.proxy]
    assert inspect(stack, service)["Config"]["StopSignal"] == entry["stop_signal"]


@both
def test_no_secret_is_left_in_the_image(stack: Stack, service: str, project: Path):
    key = (project / "secrets" / "secret_key").read_text().strip()
    container = stack.container(service)
    assert key not in json.dumps(container.attrs)
    assert key not in json.dumps([container.image.attrs, container.image.history()])
    names = [variable.partition("=")[0] for variable in container.attrs["Config"]["Env"]]
    for name in names:
        assert not re.search("SECRET|PASSWORD|TOKEN", name) or name.endswith("_FILE"), name
    # As root, to read all files. The mounted secret is not part of the image.
    options = "--recursive --files-with-matches --devices=skip --exclude-dir=secrets"
    places = "/app /opt /srv /etc /home /root /run /tmp /usr/local /var"
    script = f"grep --fixed-strings {options} -e '{key}' {places}"
    assert run(stack, service, script, user="0:0") == ""
    # Also no secrets of the build, and no files that .dockerignore excludes.
    names = "-name '.env*' -o -name pip.conf -o -name secret_key -o -name ca_bundle"
    assert (
        run(
            stack,
            service,
            f"find / -xdev -path /run/secrets -prune -o -type f \\( {names} \\) -print",
            user="0:0",
        )
        == ""
    )


@both
def test_no_compiler_or_installer_is_left_in_the_image(stack: Stack, service: str):
    tools = "gcc cc c++ g++ clang make ld as pip pip3 uv poetry git"
    assert run(stack, service, f"for tool in {tools}; do command -v $tool; done; true") == ""
    if service == "app":
        script = (
            "from importlib.util import find_spec; print(find_spec('pip'), find_spec('ensurepip'))"
        )
        for python in ("python", "/usr/local/bin/python3"):
            found = stack.container("app").exec_run([python, "-c", script])
            assert found.output == b"None None\n", python


# Prints the modules of the standard library that can be imported. (One opens a browser.)
IMPORT_ALL = """
import contextlib, importlib, sys
found = []
for name in sorted(sys.stdlib_module_names - {"antigravity"}):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
        found.append(name)
print("found:", *found)
"""


def importable(container: Container) -> set[str]:
    """Return the modules of the standard library that a container can import."""
    found = container.exec_run(["python", "-W", "ignore", "-c", IMPORT_ALL])
    assert found.exit_code == 0, found.output.decode()
    return set(found.output.decode().rpartition("found:")[2].split())


@pytest.fixture
def modules(stack: Stack) -> set[str]:
    """The modules of the standard library that the full image has."""
    return importable(stack.container("app"))


@pytest.fixture
def minimal(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container | None]:
    """Start the application from its minimal image; None if the server does not support it."""
    if FACTS["_servers"][stack.pair.server]["debian_packages"]["run"]:
        yield None
        return
    size = stack.container("app").image.attrs["Size"]
    with monkeypatch.context() as environment:
        environment.setenv("APP_BASE", "minimal")
        stack.compose("up --build --wait app")
    assert stack.container("app").image.attrs["Size"] < size / 2
    yield stack.container("app")
    stack.compose("up --build --wait")


@pytest.mark.destructive
def test_minimal_image_has_what_python_needs_and_no_shell(
    stack: Stack, project: Path, modules: set[str], minimal: Container | None
):
    if minimal is None:
        assert "APP_BASE" not in (project / "Dockerfile").read_text()
        return
    # The proxy must first resolve the container's new address.
    wait_until(lambda: stack.get("/").status_code == 200, timeout=5)
    for program in ("sh", "bash", "ls", "apt-get", "perl"):
        assert minimal.exec_run([program]).exit_code in (126, 127), program
    # The texts of help(). Packages import other modules that seem unused, such as pdb.
    assert modules - importable(minimal) == {"pydoc_data"}
    # Certificates for outgoing TLS connections, time zones, and the compiled modules.
    script = (
        "import ctypes, lzma, sqlite3, ssl, uuid, zoneinfo;"
        "assert ssl.create_default_context().get_ca_certs();"
        "zoneinfo.ZoneInfo('Pacific/Auckland')"
    )
    found = minimal.exec_run(["python", "-c", script])
    assert found.exit_code == 0, found.output.decode()
    minimal.stop()
    minimal.reload()
    assert minimal.attrs["State"]["ExitCode"] == 0


def check_log(line: str) -> None:
    """Check a log line of normal operation: it is no warning, and valid JSON if it is JSON."""
    if line.startswith("{"):
        assert json.loads(line)["level"] in ("DEBUG", "INFO", "notice"), line
    else:
        assert not re.search("(?i)warn|error|fail|crit|alert|emerg|deprecat|Traceback", line), line


@both
def test_no_warnings_at_startup(stack: Stack, service: str):
    for line in stack.first_logs[service].splitlines():
        check_log(line)


def test_the_proxys_configuration_is_valid_without_warnings(stack: Stack):
    check = EXPECTATIONS["_proxies"][stack.pair.proxy]["check_configuration"]
    done = stack.container("proxy").exec_run(check)
    assert (done.exit_code, done.output.decode().strip()) in ((0, ""), (0, "Syntax OK"))


def test_builder_finds_nothing_in_the_dockerfile(stack: Stack, project: Path):
    docker(project, "build", "--check", ".")


def test_compose_takes_every_setting(stack: Stack, project: Path, tmp_path: Path):
    """Compose accepts .env.example with all its settings enabled."""
    settings = tmp_path / "settings"
    example = (project / ".env.example").read_text()
    settings.write_text(re.sub(r"(?m)^# ([A-Z_]+=)", r"\1", example))
    docker(project, "compose", "--env-file", str(settings), "config", "--quiet")


def docker(project: Path, *arguments: str) -> None:
    """Run a docker command in a project; fail with its output on an error or a warning."""
    done = subprocess.run(
        ["docker", *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "WARN" in done.stderr) == (0, False), done.stdout + done.stderr
