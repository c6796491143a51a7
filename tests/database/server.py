"""The database server of a stack: queries of its superuser, inside its container."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lib.stack import Stack, wait_until
from tests.lib.template import FACTS

APPLICATION = "FROM pg_stat_activity WHERE usename = 'app'"


def query(stack: Stack, statement: str, database: str = "app") -> str:
    """Run a statement as the superuser; return its result as lines of text."""
    command = ["psql", "--username=postgres", f"--dbname={database}", "--no-psqlrc", "--quiet"]
    command += ["--tuples-only", "--no-align", f"--command={statement}"]
    done = stack.container("db").exec_run(command)
    assert done.exit_code == 0, done.output.decode()
    return done.output.decode().strip()


def connections(stack: Stack) -> int:
    """Return how many connections the application has."""
    return int(query(stack, f"SELECT count(*) {APPLICATION}"))


def wait_for_server(stack: Stack) -> float:
    """Wait until the server accepts connections, and return the time."""
    command = ["pg_isready", "--host=127.0.0.1", "--quiet"]
    wait_until(lambda: stack.container("db").exec_run(command).exit_code == 0, timeout=30)
    return time.monotonic()


def most_connections(server: str) -> int:
    """Return how many connections the application may have, with the settings of these tests."""
    entry = FACTS["_servers"][server]
    pool = 10 if entry["greenlets"] else 8
    # One more for health checks.
    return (1 if entry["one_process"] else 2) * (pool + 1)


@contextmanager
def counting(stack: Stack) -> Iterator[list[int]]:
    """Count the application's connections again and again while the block runs."""
    counted: list[int] = []
    ended = threading.Event()

    def count() -> None:
        while not ended.wait(0.05):
            counted.append(connections(stack))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counted
    finally:
        ended.set()
        thread.join()
