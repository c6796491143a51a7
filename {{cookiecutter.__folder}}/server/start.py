"""Start the server: fill in the settings that were left out, then become the command that follows.

The command replaces this process, so that the server itself gets the engine's signals.
"""

import math
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

# Seconds for the timeouts. WEB_CONCURRENCY is missing here: it depends on the machine.
DEFAULTS = {
    "PORT": "8000",
    "WEB_THREADS": "4",
    "REQUEST_TIMEOUT": "30",
    "GRACEFUL_TIMEOUT": "20",
    "MAX_REQUESTS": "0",
    "LOG_LEVEL": "info",
}


def settings(environ: Mapping[str, str], cgroup: Path = Path("/sys/fs/cgroup")) -> dict[str, str]:
    """Return the servers' settings, as text, from ``environ`` and the defaults.

    Raises SystemExit with a clear line when a number is none.
    """
    found = {name: environ.get(name) or default for name, default in DEFAULTS.items()}
    found["WEB_CONCURRENCY"] = environ.get("WEB_CONCURRENCY") or str(cpus(cgroup))
    for name in found.keys() - {"LOG_LEVEL"}:
        least = 0 if name == "MAX_REQUESTS" else 1
        value = found[name]
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            raise SystemExit(f"{name} must be a whole number, {least} or more; it is {value!r}.")
    # One socket for IPv6 and IPv4 alike, where the kernel has IPv6; as it stands in an address.
    found["LISTEN_ADDRESS"] = "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return found


def cpus(cgroup: Path) -> int:
    """Return how many CPUs this container may use: its quota, rounded up, at least 1.

    Python's own os.process_cpu_count() knows nothing of quotas, so a container with half a CPU on a
    large machine would start dozens of workers. The files are those of cgroup v2, then v1.
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


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("Usage: python server/start.py COMMAND [ARGUMENT ...]")
    os.environ.update(settings(os.environ))
    os.execvp(sys.argv[1], sys.argv[1:])
