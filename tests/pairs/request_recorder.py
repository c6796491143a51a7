"""Sends an unusual request, and compares the proxy's response with what the application got."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from uuid import uuid4

import pytest

from tests.lib.load import new_session
from tests.lib.raw_http import Exchange, Reply, exchange
from tests.lib.stack import Stack

FIRST = "/probe/echo/first/TOKEN"
# Must never reach the application: it is inside the first request's body, or follows its end.
SMUGGLED = b"GET /probe/echo/smuggled/TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n"
# The next request on the same connection. It closes the connection.
CANARY = b"GET /probe/echo/canary/TOKEN HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Used instead of a status if the connection was closed without a response.
CLOSED = 0


@dataclass(frozen=True)
class Probe:
    """A raw request and its permitted outcomes; TOKEN is replaced by a unique token."""

    id: str
    data: bytes
    # Permitted statuses, or CLOSED. With 200 among them, it may reach the application.
    safe: frozenset[int]
    # The bodies that the application may receive in that case.
    bodies: tuple[bytes, ...] = (b"",)
    # The path, if it is not the echo view's.
    path: str = FIRST
    method: str = "GET"

    def __str__(self) -> str:
        return self.id


def request(
    *headers: str | bytes,
    line: str | bytes = f"POST {FIRST} HTTP/1.1",
    host: str = "Host: localhost",
    body: bytes = b"",
) -> bytes:
    """Return a raw request: request line, Host unless empty, headers and body."""
    lines = [line, *([host] if host else []), *headers]
    raw = [part.encode("latin-1") if isinstance(part, str) else part for part in lines]
    return b"\r\n".join(raw) + b"\r\n\r\n" + body


def told(stack: Stack, *headers: str, path: str = "/probe/request") -> tuple[dict, str]:
    """Send these raw headers; return the request as the application sees it, and its id."""
    data = request(*headers, line=f"GET {path} HTTP/1.1")
    # The second request closes the connection: close would hide other options of the first.
    end = request("Connection: close", line="GET /health/proxy HTTP/1.1")
    reply, *_ = exchange(stack.port, data + end).replies
    assert reply.status == 200, reply.body
    return json.loads(reply.body), reply.headers["X-Request-ID"]


def gateway(stack: Stack) -> str:
    """Return the address from which this machine reaches a stack's containers."""
    network = stack.docker.networks.get(f"{stack.name}_default")
    return network.attrs["IPAM"]["Config"][0]["Gateway"]


@contextmanager
def configured(stack: Stack, **settings: str) -> Iterator[None]:
    """Run the stack's proxy with other settings; restore the previous ones afterwards."""
    recreate = "up --wait --no-build --no-deps --force-recreate proxy"
    try:
        with pytest.MonkeyPatch.context() as environ:
            for name, value in settings.items():
                environ.setenv(name, value)
            stack.compose(recreate)
            yield
    finally:
        stack.compose(recreate)


class RequestRecorder:
    """Returns the requests that reached the application since this object was created."""

    def __init__(self, stack: Stack) -> None:
        self.port = stack.port
        self.end: int | None = None
        self.requests()

    def get(self, path: str) -> dict:
        """Send a GET request as another client, on a new connection; return the JSON."""
        with new_session() as session:
            response = session.get(f"http://127.0.0.1:{self.port}{path}", timeout=15)
        assert response.status_code == 200, response.text
        return response.json()

    def requests(self) -> list[dict]:
        """Return the requests that reached the application since the last call."""
        question = uuid4().hex
        after = "" if self.end is None else f"&after={self.end}"
        told = self.get(f"/probe/seen?question={question}{after}")
        assert told["question"] == question, "a response to another request"
        self.end = told["end"]
        return told["requests"]


def check(stack: Stack, probe: Probe) -> tuple[Exchange, list[dict]]:
    """Send a probe, then a canary; return the responses and the requests that the application got.

    For every probe, the application gets each of the two at most once and nothing else, each
    response belongs to its request, and another client gets the response to its own request.
    """
    token = uuid4().hex
    recorder = RequestRecorder(stack)

    def filled(text: bytes) -> bytes:
        return text.replace(b"TOKEN", token.encode())

    found = exchange(recorder.port, filled(probe.data + CANARY), methods=(probe.method,), wait=2)
    assert recorder.get(f"/probe/echo/other/{token}")["name"] == f"other/{token}", (
        "a response to another request"
    )
    *seen, other = recorder.requests()
    assert other["path"] == f"/probe/echo/other/{token}"

    paths = [got["path"] for got in seen]
    first = probe.path.replace("TOKEN", token)
    canary = f"/probe/echo/canary/{token}"
    assert paths in ([], [first], [canary], [first, canary]), found.statuses
    assert (found.statuses or [CLOSED])[0] in probe.safe, (found.statuses, paths)
    reached = [path for path in paths if path.startswith("/probe/echo/")]
    if first in reached:
        # The application itself rejects some requests: by method, or for a character in a field.
        by_application = found.replies[0].headers["X-Probe-Path"] is not None
        assert found.statuses[0] == 200 or (by_application and found.statuses[0] in (400, 405)), (
            "a rejected request reached the application"
        )
        hashes = [hashlib.sha256(filled(body)).hexdigest() for body in probe.bodies]
        assert seen[0]["sha256"] in hashes, "the body differs from the one that was sent"
        if found.statuses[0] != 200:
            reached.remove(first)
    assert found.rest == b""
    names = [json.loads(reply.body)["name"] for reply in found.replies if echoed(reply)]
    assert names == [path.removeprefix("/probe/echo/") for path in reached], found.statuses
    return found, seen


def echoed(reply: Reply) -> bool:
    """Return whether a response comes from the echo view."""
    return reply.status == 200 and reply.headers.get_content_type() == "application/json"


# Headers of every response.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


def assert_security_headers(headers: Message, body: bytes) -> None:
    """Check for one of each security header, a request id, and no software versions."""
    for name, value in SECURITY_HEADERS.items():
        assert headers.get_all(name) == [value]
    (request_id,) = headers.get_all("X-Request-ID")
    assert len(request_id) >= 16
    assert headers["Server"] in ("nginx", "Apache")
    assert headers["X-Powered-By"] is None
    for version in (b"nginx/", b"Apache/", b"Python/", b"Traceback", b"Werkzeug"):
        assert version not in body
