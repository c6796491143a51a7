"""Activity of the machine during a measurement, and of the engine, from /proc."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
# The engine's programs. The kernel keeps 15 letters of a name: shims have a version behind these.
NAMES = {"dockerd", "containerd", "containerd-shim", "docker-proxy"}


class Engine:
    """The engine's processes, whose work is looking names up, keeping logs and forwarding ports.

    Where the engine runs in a virtual machine of its own, none can be seen.
    """

    def __init__(self) -> None:
        # What each was last seen to have had, in ticks: a shim that ends takes none of it back.
        self.ticks: dict[str, int] = {}

    def time(self) -> float:
        """Return the microseconds of CPU time that all of them have had."""
        for stat in PROC.glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            except OSError:  # ended meanwhile
                continue
            if name in NAMES:
                # User and system time are the 14th and the 15th field of all, and when it began
                # is the 22nd, which tells it from another of the same number: see proc(5).
                fields = rest.split()
                self.ticks[f"{stat.parent.name} {fields[19]}"] = sum(map(int, fields[11:13]))
        return sum(self.ticks.values()) * 1e6 / TICK


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
