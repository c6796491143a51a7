"""The private engine: Docker from Debian packages in the cache folder, without system changes.

The system is not changed: packages are downloaded and unpacked, not installed, and the daemon keeps
its data, sockets and logs below one folder.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import client, debian
from .errors import EngineError
from .progress import say, step, tail

FOLDER = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    / "cookiecutter-flask-sidecar/engine"
)
PACKAGES = FOLDER / "packages"
CONFIG = FOLDER / "config"
DATA = FOLDER / "data"
RUN = FOLDER / "run"
SOCKET = RUN / "docker.sock"
PIDFILE = RUN / "docker.pid"
LOG = FOLDER / "logs/dockerd.log"

# Newest first; the next one is tried when the packages are unavailable or do not run.
# Each with the package that contains tini-static, which `init: true` needs.
SUITES = {"forky": "tini-static", "trixie": "tini"}
ENGINE_PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
# These must match the machine's C library, so they come from the machine's suite.
SYSTEM_PACKAGES = (
    *("runc", "libseccomp2", "iptables", "libxtables12", "libip4tc2", "libip6tc2"),
    *("libmnl0", "libnfnetlink0", "libnetfilter-conntrack3", "libnftnl11"),
)
WRAPPED = {"runc": "sbin/runc", "iptables": "sbin/iptables-nft", "ip6tables": "sbin/ip6tables-nft"}
DAEMONS = {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy", "runc"}

START_LIMIT = 60  # seconds
STOP_LIMIT = 40
INSTALL_HINT = "install Docker Engine with its compose and buildx plugins and start it"


def environment() -> dict[str, str]:
    """Return the environment variables for the docker client to use the private engine."""
    programs = str(PACKAGES / "engine/usr/bin")
    path = os.environ.get("PATH", os.defpath)
    return {
        "DOCKER_HOST": f"unix://{SOCKET}",
        "DOCKER_CONFIG": str(CONFIG),
        # Otherwise `docker compose build` rejects a secret outside the build context.
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        "PATH": path if programs in path.split(":") else f"{programs}:{path}",
    }


def is_chosen_by_caller() -> bool:
    """Return whether the caller's environment already selects the private engine."""
    return os.environ.get("DOCKER_HOST") == f"unix://{SOCKET}"


def answers() -> bool:
    """Return whether the private engine runs and responds."""
    return SOCKET.exists() and client.answers(environment())


@contextmanager
def lock() -> Iterator[None]:
    """Let one process at a time install, start or stop the engine, or add images."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("waiting for another run that sets up the engine"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start() -> None:
    """Install the private engine if necessary and start it; the caller must hold the lock."""
    if not debian.is_usable():
        raise EngineError(
            f"no Docker engine responds, and only root on Debian can start one: {INSTALL_HINT}"
        )
    if len(str(RUN)) > 70:  # a socket path has at most 107 bytes, and containerd appends to it
        raise EngineError(
            f"the path {RUN} is too long for sockets: set XDG_CACHE_HOME to a short one"
        )
    if stranger := _other_daemon():
        raise EngineError(
            f"a Docker daemon runs (process {stranger}) but does not respond; a second one would"
            " break its network: set DOCKER_HOST to its address, or stop it"
        )
    _install()
    _sweep()
    with step("starting the private Docker engine"):
        _launch()


def stop() -> bool:
    """Stop the private engine and clean up; return whether any process was running."""
    running = _processes()
    if PIDFILE.exists() and (pid := int(PIDFILE.read_text() or 0)) in running:
        os.kill(pid, signal.SIGTERM)
        _wait(lambda: pid not in _processes(), STOP_LIMIT)
    _sweep()
    return bool(running)


def _install() -> None:
    recipe = json.dumps([SUITES, ENGINE_PACKAGES, SYSTEM_PACKAGES, WRAPPED])
    marker = PACKAGES / "recipe.json"
    if marker.exists() and marker.read_text() == recipe:
        return
    failures = []
    for suite in SUITES:
        try:
            with step(f"installing a private Docker engine from Debian {suite}"):
                _unpack(suite)
            break
        except EngineError as error:
            say(str(error))
            failures.append(str(error))
    else:
        raise EngineError(f"{failures[-1]}; check that apt's mirror responds, or {INSTALL_HINT}")
    marker.write_text(recipe)


def _unpack(suite: str) -> None:
    shutil.rmtree(PACKAGES, ignore_errors=True)
    for folder, origin, packages in (
        ("engine", suite, (*ENGINE_PACKAGES, SUITES[suite])),
        ("system", debian.suite(), SYSTEM_PACKAGES),
    ):
        apt = debian.Apt(FOLDER / "apt" / origin, origin)
        apt.prepare()
        apt.unpack(packages, PACKAGES / folder)
    engine, system = PACKAGES / "engine/usr", PACKAGES / "system/usr"

    (PACKAGES / "bin").mkdir()
    (PACKAGES / "bin/docker-init").symlink_to(engine / "bin/tini-static")
    libraries = next(system.glob("lib/*-linux-gnu*"))
    for name, program in WRAPPED.items():
        wrapper = PACKAGES / "bin" / name
        wrapper.write_text(
            "#!/bin/sh\n"
            f"export LD_LIBRARY_PATH='{libraries}' XTABLES_LIBDIR='{libraries}/xtables'\n"
            f"exec '{system / program}' \"$@\"\n"
        )
        wrapper.chmod(0o755)

    (CONFIG / "cli-plugins").mkdir(parents=True, exist_ok=True)
    for plugin in (engine / "libexec/docker/cli-plugins").iterdir():
        link = CONFIG / "cli-plugins" / plugin.name
        link.unlink(missing_ok=True)
        link.symlink_to(plugin)

    for program in ("sbin/dockerd", "bin/containerd", "bin/docker"):
        check = subprocess.run(
            [engine / program, "--version"], capture_output=True, text=True, check=False
        )
        if check.returncode:
            raise EngineError(
                f"Debian {suite}'s {program} does not run here: {check.stderr.strip()}"
            )


def _launch() -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    RUN.mkdir(parents=True)
    # In a file, because not every version has command line options for these settings. A run of all
    # tests leaves several gigabytes in the build cache; without a limit the cache would grow to
    # three quarters of the disk.
    settings = {
        "features": {"containerd-snapshotter": False},
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": "8GB"}},
    }
    (CONFIG / "daemon.json").write_text(json.dumps(settings), encoding="utf-8")
    engine = PACKAGES / "engine/usr"
    path = [
        *(engine / "bin", engine / "sbin"),
        *(os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"),
        PACKAGES / "bin",  # last: the machine's own runc and iptables are preferred
    ]
    options = {
        "--config-file": CONFIG / "daemon.json",
        "--data-root": DATA,
        "--exec-root": RUN / "exec",
        "--pidfile": PIDFILE,
        "--host": f"unix://{SOCKET}",
        "--group": "",
        # Separate from the namespaces of a containerd that the system may run.
        "--containerd-namespace": "sidecar",
        "--containerd-plugins-namespace": "sidecar-plugins",
        # Outside Docker's default addresses; the pool has 64 networks.
        "--bip": "10.213.0.1/24",
        "--default-address-pool": "base=10.213.64.0/18,size=24",
        "--log-opt": "max-size=10m",
    }
    # A new session without inherited files: the daemon outlives the process that started it.
    with LOG.open("wb") as log:
        subprocess.run(
            [
                "setsid",
                "--fork",
                engine / "sbin/dockerd",
                *(f"{k}={v}" for k, v in options.items()),
            ],
            env={**os.environ, "PATH": ":".join(map(str, path))},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
        )
    grace = time.monotonic() + 3  # until the process appears
    _wait(
        lambda: answers() or (time.monotonic() > grace and "dockerd" not in _processes().values()),
        START_LIMIT,
    )
    if not answers():
        say(f"the end of {LOG}:\n{tail(LOG)}")
        raise EngineError(
            f"the private Docker engine did not start: read {LOG}; after fixing the cause, or"
            f" removing {FOLDER} to reset it, try again; or {INSTALL_HINT}"
        )


def _wait(condition: Callable[[], bool], limit: float) -> None:
    """Poll until the condition is true or the limit is reached; the caller checks the result."""
    deadline = time.monotonic() + limit
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def _sweep() -> None:
    """Remove the remains of a killed engine: processes, mounts, sockets, PID files.

    A killed daemon leaves containers, mounts, and the PID of a containerd, which may belong to
    another program by now; with any of these a new daemon would fail.
    """
    for pid in {*_processes(), *_contained()}:
        _kill(pid)
    _wait(lambda: not _processes() and not _contained(), 10)
    for mount in reversed(_mounts("self")):
        point = mount[4].encode().decode("unicode_escape")  # a space is encoded as \040
        if point.startswith(f"{FOLDER}/"):
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    shutil.rmtree(RUN, ignore_errors=True)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _program(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:  # ended, or a kernel thread
        return Path()


def _processes() -> dict[int, str]:
    """Return the private engine's processes: daemons whose program is in PACKAGES."""
    programs = {pid: _program(pid) for pid in _pids()}
    return {
        pid: program.name
        for pid, program in programs.items()
        if program.is_relative_to(PACKAGES) and program.name.partition(" ")[0] in DAEMONS
    }


def _mounts(pid: int | str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    except OSError:
        return []


def _contained() -> list[int]:
    """Return the processes whose root file system is a layer of the private engine."""
    return [
        pid
        for pid in _pids()
        if any(mount[4] == "/" and f"={DATA}/" in mount[-1] for mount in _mounts(pid))
    ]


def _other_daemon() -> int | None:
    """Return the PID of another Docker daemon in this network namespace, or None."""
    here = Path("/proc/self/ns/net").readlink()
    for pid in _pids():
        program = _program(pid)
        if program.name == "dockerd" and not program.is_relative_to(PACKAGES):
            with suppress(OSError):  # ended in the meantime
                if Path(f"/proc/{pid}/ns/net").readlink() == here:
                    return pid
    return None
