"""Start the server: complete the settings, check them and run the command.

The command replaces this process. If this is a container's first process, init.py runs it.
"""

import math
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import init

# Timeouts in seconds, the length in bytes. WEB_CONCURRENCY depends on the machine.
DEFAULTS = {
    "PORT": "8000",
    "WEB_THREADS": "8",
    "REQUEST_TIMEOUT": "30",
    "GRACEFUL_TIMEOUT": "20",
    "MAX_REQUESTS": "0",
    "MAX_CONTENT_LENGTH": "10485760",
    "LOG_LEVEL": "info",
}
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
CGROUP = Path("/sys/fs/cgroup")
# Processes and threads of a container in addition to its WEB_THREADS: those of the server, of views
# and of the health check.
OTHER_PIDS = 64


def settings(environ: Mapping[str, str], cgroup: Path = CGROUP) -> dict[str, str]:
    """Return the server's settings, as text, from ``environ`` and the defaults.

    Raises SystemExit with the reason if one is invalid.
    """
    found = {name: environ.get(name) or default for name, default in DEFAULTS.items()}
    # At least two: the threads of one process compete for the GIL, and one process can serve while
    # another is replaced.
    found["WEB_CONCURRENCY"] = environ.get("WEB_CONCURRENCY") or str(max(2, cpus(cgroup)))
    for name in found.keys() - {"LOG_LEVEL"}:
        least = 0 if name in ("MAX_REQUESTS", "MAX_CONTENT_LENGTH") else 1
        value = found[name]
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            raise SystemExit(f"{name} must be a whole number, {least} or more; it is {value!r}.")
    if found["LOG_LEVEL"].lower() not in LOG_LEVELS:
        raise SystemExit(
            f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}; it is {found['LOG_LEVEL']!r}."
        )
    # One socket for IPv6 and IPv4 if the kernel supports IPv6, with the brackets of a URL.
    found["LISTEN_ADDRESS"] = "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return found


def cpus(cgroup: Path) -> int:
    """Return how many CPUs this container may use: its quota, rounded up, at least 1.

    Python's os.process_cpu_count() ignores quotas, so a container with half a CPU on a large
    machine would start dozens of workers. The files are those of cgroup v2, then v1.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            words = " ".join((cgroup / file).read_text() for file in files).split()
        except OSError:
            continue
        quota, period = words
        if quota not in ("max", "-1"):
            return max(1, min(math.ceil(int(quota) / int(period)), available or 1))
    return available or 1


def pids_limit(cgroup: Path = CGROUP) -> float:
    """Return how many processes and threads this container may have: cgroup v2, then v1."""
    for file in ("pids.max", "pids/pids.max"):
        try:
            limit = (cgroup / file).read_text().strip()
        except OSError:
            continue
        if limit != "max":
            return int(limit)
    return math.inf


def check_limits(found: Mapping[str, str], tmp_bytes: int, cgroup: Path = CGROUP) -> None:
    """Check that the settings in ``found`` fit into this container and its /tmp of ``tmp_bytes``.

    Raises SystemExit with the setting to change: requests would fail with 502 or 500 under load.
    """
    threads = int(found["WEB_CONCURRENCY"]) * int(found["WEB_THREADS"])
    if threads + OTHER_PIDS > (limit := pids_limit(cgroup)):
        raise SystemExit(
            f"WEB_CONCURRENCY * WEB_THREADS is {threads}. With {OTHER_PIDS} more, that exceeds "
            f"this container's limit of {limit} processes and threads. Raise APP_PIDS."
        )
    # Some servers store an upload in /tmp, and Flask stores the files of a form there too.
    if 2 * int(found["MAX_CONTENT_LENGTH"]) > tmp_bytes:
        raise SystemExit(
            f"An upload of MAX_CONTENT_LENGTH, {found['MAX_CONTENT_LENGTH']} bytes, may need twice "
            f"that in /tmp, which holds {tmp_bytes} bytes. Raise APP_TMP_SIZE."
        )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("Usage: python server/start.py COMMAND [ARGUMENT ...]")
    chosen = settings(os.environ)
    tmp = os.statvfs("/tmp")
    check_limits(chosen, tmp.f_blocks * tmp.f_frsize)
    os.environ.update(chosen)
    if os.getpid() == 1:
        sys.exit(init.run(sys.argv[1:]))
    os.execvp(sys.argv[1], sys.argv[1:])
