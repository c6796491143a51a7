"""A small, bounded load: clients that send requests in a loop and record the results."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from uuid import uuid4

import requests


def new_session() -> requests.Session:
    """Return a session for local URLs, which ignores .netrc and the environment's proxies.

    Reading them takes about a fifth of a request's CPU time.
    """
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass(frozen=True)
class Outcome:
    """The result of one request."""

    name: str
    # None: there was no response, for example because no process listens on the port.
    status: int | None
    # The response's body, or the error.
    text: str
    # The response began but was incomplete.
    cut: bool
    began: float
    seconds: float


def ask(
    url: str,
    *,
    method: str = "GET",
    timeout: float = 30,
    headers: dict[str, str] | None = None,
    verify: bool | str = True,
    session: requests.Session | None = None,
) -> Outcome:
    """Send a request; the last segment of the path is the request's name.

    Without a session, it is sent on a new connection. ``verify`` may be the path of a file with
    trusted certificates.
    """
    began = time.monotonic()
    status, text, cut = None, "", False
    try:
        with (
            nullcontext(session) if session else new_session() as used,
            used.request(
                method,
                url,
                timeout=timeout,
                headers=headers,
                verify=verify,
                stream=True,
                allow_redirects=False,
            ) as response,
        ):
            status = response.status_code
            text = response.text
    except requests.RequestException as error:
        cut, text = status is not None, repr(error)
    return Outcome(
        url.rpartition("/")[2], status, text, cut, began, seconds=time.monotonic() - began
    )


def ask_at_once(urls: list[str], **arguments) -> list[Outcome]:
    """Send requests to all URLs in parallel."""
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: ask(url, **arguments), urls))


@dataclass
class Load:
    """Clients that send requests until ``ending`` is set."""

    outcomes: list[Outcome] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def count(self, *statuses: int | None) -> int:
        """Return the number of responses so far with one of these statuses."""
        return sum(outcome.status in statuses for outcome in list(self.outcomes))


@contextmanager
def load(
    url: str | Callable[[], str],
    *,
    clients: int = 4,
    pause: float = 0.01,
    most: int = 5000,
    keep: bool = False,
    **arguments,
) -> Iterator[Load]:
    """Send requests to ``url`` + a unique name while the block runs, at most ``most`` in total.

    If ``url`` is a function, it is called for each request. ``keep``: each client uses one
    connection as long as the server does.
    """
    running = Load()
    address = url if callable(url) else lambda: url

    def client() -> None:
        session = new_session() if keep else None
        while not running.ending.wait(pause) and len(running.outcomes) < most:
            url = address() + uuid4().hex
            running.outcomes.append(ask(url, session=session, **arguments))

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
    """Retry a request until ``accept`` is true for its outcome, for at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while not accept(outcome := ask(url)) and time.monotonic() < deadline:
        time.sleep(pause)  # pause between attempts; the response ends the wait
    return outcome
