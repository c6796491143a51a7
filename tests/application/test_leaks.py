"""Nothing leaks: processes, threads, files, /tmp and memory are as before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice

import requests

from tests.lib.load import new_session
from tests.lib.stack import Stack, wait_until

from .together import AT_A_TIME, MIXED, results, together
from .watch import use


def send(stack: Stack, count: int) -> None:
    """Send ``count`` requests of all kinds, eight at a time."""
    local = threading.local()
    url = stack.url

    def send_one(path: str) -> None:
        if not hasattr(local, "session"):
            local.session = new_session()
            sessions.append(local.session)
        # Responses that fail on purpose are truncated.
        with suppress(requests.RequestException):
            local.session.get(url + path, timeout=20)

    sessions: list[requests.Session] = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(send_one, islice(cycle(MIXED), count)))
    for session in sessions:
        session.close()


def test_nothing_leaks(stack: Stack):
    """2,000 requests without a leak of processes, threads, files, sockets, /tmp or memory."""
    app = stack.container("app")
    send(stack, 200)
    # Start all threads of the server and of the permanent executor, in all processes: until no more
    # start. Some servers start a thread only if all others are busy.
    threads = 0
    for _ in range(10):
        together(stack, ["/threads/timer"] * 200, at_a_time=40)
        together(stack, ["/threads/executors"] * 100)
        known, threads = threads, max(threads, use(app).threads)
        if threads == known:
            break
    before = use(app)
    send(stack, 2000)

    def back() -> bool:
        now = use(app)
        return (
            all(
                getattr(now, name) <= getattr(before, name)
                for name in ("processes", "zombies", "files", "tmp_files", "tmp_bytes")
            )
            and now.threads <= threads
            # The proxy keeps connections open for later requests.
            and now.sockets <= before.sockets + AT_A_TIME
            and now.memory <= before.memory * 1.2
        )

    wait_until(back, timeout=10, told=lambda: f"before: {before}, now: {use(app)}")


def test_orphans_are_reaped(stack: Stack):
    """Subprocesses that leave processes behind."""
    assert results(stack, "/slow/orphan") == [{"status": 0}] * AT_A_TIME
    app = stack.container("app")
    wait_until(lambda: not use(app).zombies, timeout=5, told=lambda: str(use(app)))
