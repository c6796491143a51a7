"""Whether the application keeps idle connections for longer than the proxy does.

If not, the proxy now and then writes a request into a connection that is being closed.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from .load import Outcome, ask_at_once
from .stack import Stack

# Before the proxy gives them up itself, which it does after 30 s; the first are idle for longer.
IDLE_SECONDS = 27.0
CONNECTIONS = 25


@dataclass(frozen=True)
class Idle:
    """What came of it."""

    outcomes: list[Outcome]
    # The addresses and ports of the connections that the proxy kept, and those still there later.
    kept: set[str]
    left: set[str]


def connections(stack: Stack) -> set[str]:
    """Return the connections that are open in the application's container."""
    table = stack.container("app").exec_run(["cat", "/proc/net/tcp"]).output.decode()
    rows = [line.split() for line in table.splitlines()[1:]]
    established = "01"
    return {f"{row[1]} {row[2]}" for row in rows if row[3] == established}


@contextmanager
def watch_idle_connections(stack: Stack) -> Iterator[Future[Idle]]:
    """Fill the proxy's pool of connections, leave them alone for long, then use them all."""
    ending = threading.Event()
    url = f"{stack.url}/probe/work/0.2/"

    def ask_all() -> list[Outcome]:
        return ask_at_once([url + uuid4().hex for _ in range(CONNECTIONS)])

    def watch() -> Idle:
        first, kept = ask_all(), connections(stack)
        ending.wait(IDLE_SECONDS)
        left = connections(stack) & kept
        return Idle(first + ask_all(), kept, left)

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(watch)
        finally:
            ending.set()
