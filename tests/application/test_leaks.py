"""Nothing grows: processes, threads, files, /tmp and memory are where they were."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice

import requests

from tests.harness.stack import Stack, wait_until

from .together import AT_A_TIME, results
from .watch import use

# Cheap paths of each group of abilities; what they respond is for the groups' own tests.
PATHS = [
    "/calls/http/requests?url=http://upstream:8000/bytes/1000",
    "/calls/http/httpx?url=http://upstream:8000/bytes/1000",
    "/calls/http/urllib3?url=http://upstream:8000/bytes/1000",
    "/calls/dns/upstream",
    "/calls/socket",
    "/calls/pair",
    "/failures/view/exception/x",
    "/failures/view/exit/x",
    "/failures/generator/exception/x",
    "/failures/generator/exception/3/x",
    "/failures/teardown/exception/x",
    "/failures/pid",
    "/lifecycle/isolated/x?name=x",
    "/lifecycle/cookies/10/50",
    "/lifecycle/session/1000",
    "/lifecycle/wsgi/list/x",
    "/lifecycle/wsgi/empty-parts/x",
    "/memory/local/1",
    "/coroutines/sleep",
    "/threads/executors",
    "/threads/timer",
    "/output/exception",
    "/forms/temporary",
    "/processes/python",
]


def send(stack: Stack, count: int) -> None:
    """Send so many requests of all kinds, eight at a time."""
    local = threading.local()
    url = stack.url

    def send_one(path: str) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            sessions.append(local.session)
        # Responses that fail on purpose are cut off.
        with suppress(requests.RequestException):
            local.session.get(url + path, timeout=20)

    sessions: list[requests.Session] = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(send_one, islice(cycle(PATHS), count)))
    for session in sessions:
        session.close()


def test_nothing_leaks(stack: Stack):
    """2,000 requests without a leak of processes, threads, files, sockets, /tmp or memory."""
    app = stack.container("app")
    send(stack, 200)
    before = use(app)
    send(stack, 2000)

    def back() -> bool:
        now = use(app)
        return (
            all(
                getattr(now, name) <= getattr(before, name)
                for name in ("processes", "threads", "zombies", "files", "tmp_files", "tmp_bytes")
            )
            # Connections that the proxy keeps for later requests.
            and now.sockets <= before.sockets + AT_A_TIME
            and now.memory <= before.memory * 1.2
        )

    wait_until(back, timeout=10, told=lambda: f"before: {before}, now: {use(app)}")


def test_orphans_are_reaped(stack: Stack):
    """Subprocesses that leave processes behind."""
    assert results(stack, "/slow/orphan") == [{"status": 0}] * AT_A_TIME
    app = stack.container("app")
    wait_until(lambda: not use(app).zombies, timeout=5, told=lambda: str(use(app)))
