"""A small, bounded load: clients that send requests in a loop and record the results."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import requests


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    name: str
    # None: there was no response at all, such as from a port that nobody listens on.
    status: int | None
    # The response's, or what went wrong.
    text: str
    # The response began and did not end as it should have.
    cut: bool
    began: float
    seconds: float


def ask(
    url: str,
    *,
    timeout: float = 30,
    headers: dict[str, str] | None = None,
    verify: bool | str = True,
) -> Outcome:
    """Ask over a connection of its own; the last part of the path is the request's name.

    ``verify`` may name a file with the certificates to trust.
    """
    began = time.monotonic()
    status, text, cut = None, "", False
    try:
        with requests.get(
            url,
            timeout=timeout,
            headers=headers,
            verify=verify,
            stream=True,
            allow_redirects=False,
        ) as response:
            status = response.status_code
            text = response.text
    except requests.RequestException as error:
        cut, text = status is not None, repr(error)
    return Outcome(
        url.rpartition("/")[2], status, text, cut, began, seconds=time.monotonic() - began
    )


def ask_at_once(urls: list[str], **arguments) -> list[Outcome]:
    """Ask for all of them side by side."""
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: ask(url, **arguments), urls))


@dataclass
class Load:
    """Clients that go on asking until they are told to stop."""

    outcomes: list[Outcome] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def count(self, *statuses: int | None) -> int:
        """Return how many responses had one of these statuses until now."""
        return sum(outcome.status in statuses for outcome in list(self.outcomes))


@contextmanager
def load(
    url: str | Callable[[], str],
    *,
    clients: int = 4,
    pause: float = 0.01,
    most: int = 5000,
    **arguments,
) -> Iterator[Load]:
    """Ask ``url`` + a new name with so many clients while the block runs, ``most`` times.

    A function in its place is called for each request.
    """
    running = Load()
    address = url if callable(url) else lambda: url

    def client() -> None:
        while not running.ending.wait(pause) and len(running.outcomes) < most:
            running.outcomes.append(ask(address() + uuid4().hex, **arguments))

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(client) for _ in range(clients)]
        try:
            yield running
        finally:
            running.ending.set()
    for future in futures:
        future.result()


def retried(
    url: str, *, seconds: float, accept: Callable[[Outcome], bool], pause: float = 0.05
) -> Outcome:
    """Ask as a client that may ask again does: until the response is accepted, for some seconds."""
    deadline = time.monotonic() + seconds
    while not accept(outcome := ask(url)) and time.monotonic() < deadline:
        time.sleep(pause)  # between two attempts; the response ends the wait
    return outcome
