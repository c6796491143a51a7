"""Too much work, and clients that dawdle, leave the service answering."""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest

from tests.harness.load import ask
from tests.harness.stack import Stack

# They crowd idle connections out of the proxy, which another test watches.
pytestmark = pytest.mark.disruptive

Record = Callable[[str, object], None]

# WEB_THREADS: what a container with one CPU serves at a time, on a server with threads.
THREADS = 4


def test_overload(stack: Stack, record_property: Record):
    """Ten times what can be served at a time: all get an answer, and it is over when they stop."""
    urls = [f"{stack.url}/probe/work/0.1/{uuid4().hex}" for _ in range(120)]
    with ThreadPoolExecutor(10 * THREADS) as pool:
        answers = list(pool.map(ask, urls))
    again = ask(f"{stack.url}/health/live")
    seconds = sorted(answer.seconds for answer in answers)
    record_property("statuses", dict(Counter(str(answer.status) for answer in answers)))
    record_property("p99_seconds", round(seconds[-2], 2))
    record_property("recovered_seconds", round(again.seconds, 3))
    assert {answer.status for answer in answers} <= {200, 503}
    assert not any(answer.cut for answer in answers)
    assert seconds[-2] < 10
    assert again.status == 200
    assert again.seconds < 5


UPLOAD = b"POST /probe/upload HTTP/1.1\r\nHost: localhost\r\n"
STALLED = {
    "nothing": b"",
    "request-line": b"GET / HT",
    "header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "body": UPLOAD + b"Content-Length: 100000\r\n\r\nx",
    "chunk": UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nx",
    # Eight megabytes of ten each: they fill the memory that the proxy may use.
    "large-body": UPLOAD + b"Content-Length: 10000000\r\n\r\n" + bytes(8_000_000),
    # Read nothing of the answer.
    "answer": b"GET /probe/bytes/200000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@contextmanager
def stalled(stack: Stack, sent: bytes, clients: int) -> Iterator[None]:
    """Clients that send so much and then nothing, and read nothing."""
    with ExitStack() as open_ones:
        for _ in range(clients):
            client = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
            open_ones.enter_context(client)
            try:
                client.sendall(sent)
            except OSError:
                assert len(sent) > 1_000_000  # the proxy had enough, as it may
        yield


def endings(stack: Stack) -> dict[str | None, tuple[int, bool]]:
    """Return how often each container was started again, and whether it ever lacked memory."""
    return {
        container.id: (container.attrs["RestartCount"], container.attrs["State"]["OOMKilled"])
        for container in stack.containers()
    }


@pytest.mark.parametrize("kind", STALLED)
def test_stalled_clients(stack: Stack, kind: str, record_property: Record):
    """Hold nobody else up, many more of them than the application has threads."""
    before = endings(stack)
    with stalled(stack, STALLED[kind], 10 * THREADS):
        # Answered once the proxy has taken in what they sent: they stall from then on.
        assert ask(f"{stack.url}/health/live", timeout=5).status == 200
        until = time.monotonic() + 1
        slowest = 0.0
        while time.monotonic() < until:
            answer = ask(f"{stack.url}/health/live", timeout=5)
            assert answer.status == 200
            slowest = max(slowest, answer.seconds)
            time.sleep(0.02)  # often enough to notice, and no load of its own
    record_property("slowest_seconds", round(slowest, 3))
    assert slowest < 1
    assert endings(stack) == before
