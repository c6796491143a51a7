"""How long threads wait for their turn on a CPU, and what a virtual machine's host keeps of it."""

import os
from pathlib import Path

from docker.models.containers import Container

PROC = Path("/proc")


def waited(container: Container) -> float:
    """Return the milliseconds that a container's threads have been ready to run, but did not.

    The second number of each thread's schedstat is that, in nanoseconds:
    https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    """
    total = 0
    top = container.top()
    for process in top["Processes"]:
        folder = PROC / process[top["Titles"].index("PID")] / "task"
        total += sum(int(file.read_text().split()[1]) for file in folder.glob("*/schedstat"))
    return total / 1e6


def stolen() -> float:
    """Return the seconds of CPU time that the host has kept for others: "steal" in proc(5)."""
    words = (PROC / "stat").read_text().split()
    return int(words[8]) / os.sysconf("SC_CLK_TCK")
