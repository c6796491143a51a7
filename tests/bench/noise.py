"""What else the machine did meanwhile, and what the engine spent: both read from /proc."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
# The kernel keeps the first 15 letters of a program's name: shims have a version behind these.
ENGINE = {"dockerd", "containerd", "containerd-shim", "docker-proxy"}


def engine_time() -> float:
    """Return the microseconds of CPU time that the engine's processes have had; 0 if none is here.

    It looks names up, keeps the logs and, for published ports, passes bytes on. Where the engine
    runs in a virtual machine of its own, its processes cannot be seen.
    """
    total = 0
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:  # ended meanwhile
            continue
        if name in ENGINE:
            # User and system time are the 14th and the 15th field of all: see proc(5).
            total += sum(map(int, rest.split()[11:13]))
    return total * 1e6 / TICK


def stolen() -> float:
    """Return the seconds of CPU time that the host has kept for others: "steal" in proc(5)."""
    words = (PROC / "stat").read_text().split()
    return int(words[8]) / TICK


@dataclass(frozen=True)
class Noise:
    """Since when the machine is watched."""

    began: float = field(default_factory=time.monotonic)
    before: float = field(default_factory=stolen)

    def stolen_percent(self) -> float:
        """Return the share of all CPUs' time that the host has kept since then."""
        seconds = (time.monotonic() - self.began) * (os.cpu_count() or 1)
        return round(100 * (stolen() - self.before) / seconds, 1)


def load() -> float:
    """Return how many threads ran or were ready to, on the mean of the last minute."""
    return round(os.getloadavg()[0], 1)
