"""Too many requests, and clients that stall, do not stop the service."""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest

from tests.lib.load import ask
from tests.lib.raw_http import Raw
from tests.lib.stack import Stack, wait_until
from tests.pairs.request_recorder import configured

# These tests displace the proxy's idle connections, which another test observes.
pytestmark = pytest.mark.destructive

Record = Callable[[str, object], None]

# Several times as many as threads, but fewer than CONNECTIONS_PER_CLIENT.
CLIENTS = 60


def test_overload(stack: Stack, record_property: Record):
    """With many clients, all requests get a response, and the service then recovers."""
    urls = [f"{stack.url}/probe/work/0.1/{uuid4().hex}" for _ in range(120)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        responses = list(pool.map(ask, urls))
    again = ask(f"{stack.url}/health/live")
    seconds = sorted(response.seconds for response in responses)
    record_property("statuses", dict(Counter(str(response.status) for response in responses)))
    record_property("p99_seconds", round(seconds[-2], 2))
    record_property("recovered_seconds", round(again.seconds, 3))
    assert {response.status for response in responses} <= {200, 503}
    assert not any(response.cut for response in responses)
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
    # Eight of ten megabytes from each client: they fill the memory that the proxy may use.
    "large-body": UPLOAD + b"Content-Length: 10000000\r\n\r\n" + bytes(8_000_000),
    # The client does not read the response.
    "response": b"GET /probe/bytes/200000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@contextmanager
def stalled(stack: Stack, sent: bytes, clients: int) -> Iterator[None]:
    """Open clients that send this data, then nothing more, and read nothing."""
    with ExitStack() as open_ones:
        for _ in range(clients):
            client = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
            open_ones.enter_context(client)
            try:
                client.sendall(sent)
            except OSError:
                assert len(sent) > 1_000_000  # the proxy may stop reading a large body
        yield


def endings(stack: Stack) -> dict[str | None, tuple[int, bool]]:
    """Return each container's restart count, and whether it ran out of memory."""
    return {
        container.id: (container.attrs["RestartCount"], container.attrs["State"]["OOMKilled"])
        for container in stack.containers()
    }


@pytest.mark.parametrize("kind", STALLED)
def test_stalled_clients(stack: Stack, kind: str, record_property: Record):
    """Ten stalled clients per thread of the application do not delay other clients."""
    before = endings(stack)
    with stalled(stack, STALLED[kind], CLIENTS):
        # The proxy responds after it has read their data; from then on, they stall.
        assert ask(f"{stack.url}/health/live", timeout=5).status == 200
        until = time.monotonic() + 1
        slowest = 0.0
        while time.monotonic() < until:
            response = ask(f"{stack.url}/health/live", timeout=5)
            assert response.status == 200
            slowest = max(slowest, response.seconds)
            time.sleep(0.02)  # short enough to notice a delay, without much load
    record_property("slowest_seconds", round(slowest, 3))
    assert slowest < 1
    assert endings(stack) == before


# --- One client among others ---

ONE, OTHER = "203.0.113.9", "203.0.113.10"
# The defaults of UPLOADS_PER_CLIENT and CONNECTIONS_PER_CLIENT.
UPLOADS, CONNECTIONS = 5, 64
LARGE = 1_000_000
BODIES = {
    "length": (f"Content-Length: {LARGE}", bytes(LARGE)),
    "chunks": ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
}


@pytest.fixture(scope="module")
def balanced(stack: Stack) -> Iterator[Stack]:
    """Run the stack behind a load balancer whose client addresses are trusted."""
    with configured(stack, TRUSTED_PROXY_COUNT="1"):
        yield stack


@contextmanager
def begin(stack: Stack, framing: str, address: str) -> Iterator[tuple[Raw, int]]:
    """Start an upload without its body; yield it with the first status: 100, or an error."""
    with Raw(stack) as client:
        client.request(
            "POST /probe/upload HTTP/1.1",
            framing,
            "Expect: 100-continue",
            f"X-Forwarded-For: {address}",
        )
        status = int(client.stream.readline().split()[1])
        if status == 100:
            assert client.stream.readline() == b"\r\n"
        yield client, status


def first_word(stack: Stack, framing: str, address: str) -> int:
    """Return the first status of an upload that then disconnects."""
    with begin(stack, framing, address) as (_, status):
        return status


@contextmanager
def begun(stack: Stack, framing: str, count: int) -> Iterator[list[Raw]]:
    """Start this number of uploads by one client, without their bodies."""
    with ExitStack() as open_ones:
        clients = []
        for _ in range(count):
            client, status = open_ones.enter_context(begin(stack, framing, ONE))
            assert status == 100
            clients.append(client)
        yield clients


@pytest.mark.parametrize("kind", BODIES)
def test_uploads_of_one_client(balanced: Stack, kind: str):
    """Large uploads are limited per client; small bodies and other clients are not affected."""
    framing, body = BODIES[kind]
    with begun(balanced, framing, UPLOADS) as clients:
        assert first_word(balanced, framing, ONE) == 429
        response = balanced.request(
            "POST", "/probe/upload", data=bytes(LARGE - 1), headers={"X-Forwarded-For": ONE}
        )
        assert response.status_code == 200
        assert first_word(balanced, framing, OTHER) == 100
        clients[0].send(body)
        assert clients[0].response().status == 200
        wait_until(lambda: first_word(balanced, framing, ONE) == 100, timeout=5)


def test_requests_of_one_client(balanced: Stack):
    """Concurrent requests are limited per client; other clients are not affected."""

    def status(address: str) -> int:
        return balanced.get("/", headers={"X-Forwarded-For": address}).status_code

    with begun(balanced, "Content-Length: 100", CONNECTIONS):
        assert status(ONE) == 429
        assert status(OTHER) == 200
    wait_until(lambda: status(ONE) == 200, timeout=5)
