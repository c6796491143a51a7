"""Activity of the machine during a measurement, and of the engine, from /proc."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
# The engine's programs. The kernel keeps 15 characters of a name, which cuts off a shim's version.
NAMES = {"dockerd", "containerd", "containerd-shim", "docker-proxy"}


class Engine:
    """The engine's processes, which resolve names, keep logs and forward ports.

    If the engine runs in its own virtual machine, none of them is visible.
    """

    def __init__(self) -> None:
        # The last measured CPU time of each, in ticks, including shims that have exited.
        self.ticks: dict[str, int] = {}

    def time(self) -> float:
        """Return the microseconds of CPU time that all of them have used."""
        for stat in PROC.glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            except OSError:  # exited meanwhile
                continue
            if name in NAMES:
                # Of all fields, the 14th and the 15th are user and system time. The 22nd is the
                # start time, which distinguishes processes with the same PID: see proc(5).
                fields = rest.split()
                self.ticks[f"{stat.parent.name} {fields[19]}"] = sum(map(int, fields[11:13]))
        return sum(self.ticks.values()) * 1e6 / TICK


def stolen() -> float:
    """Return the seconds of CPU time that the host used for other guests: "steal" in proc(5)."""
    fields = (PROC / "stat").read_text().split()
    return int(fields[8]) / TICK


@dataclass(frozen=True)
class Noise:
    """The start of a measurement of noise."""

    began: float = field(default_factory=time.monotonic)
    before: float = field(default_factory=stolen)

    def stolen_percent(self) -> float:
        """Return the percentage of all CPUs' time that the host has stolen since the start."""
        seconds = (time.monotonic() - self.began) * (os.cpu_count() or 1)
        return round(100 * (stolen() - self.before) / seconds, 1)


def load() -> float:
    """Return the load average of the last minute: threads that run or are ready to run."""
    return round(os.getloadavg()[0], 1)
