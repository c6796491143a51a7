"""Sends an unusual request, and compares the proxy's response with what the application got."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from uuid import uuid4

import pytest
import requests

from tests.harness.stack import Stack
from tests.harness.wire import Exchange, Reply, exchange

FIRST = "/probe/echo/first/TOKEN"
# What must never reach the application: it lies inside the body, or behind the end, of the first.
SMUGGLED = b"GET /probe/echo/smuggled/TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Follows on the same connection, and ends it.
CANARY = b"GET /probe/echo/canary/TOKEN HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# In place of a status: the connection was closed without a response.
CLOSED = 0


@dataclass(frozen=True)
class Probe:
    """A request in bytes, and all that may become of it; TOKEN is replaced by a fresh one."""

    id: str
    data: bytes
    # Statuses that are safe, CLOSED among them. The request may reach the application where 200 is.
    safe: frozenset[int]
    # What its body may be, then.
    bodies: tuple[bytes, ...] = (b"",)
    # Where it goes, if not to the echo.
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
    """Return a request's bytes: its line, a Host unless that is empty, the headers, the body."""
    lines = [line, *([host] if host else []), *headers]
    raw = [part.encode("latin-1") if isinstance(part, str) else part for part in lines]
    return b"\r\n".join(raw) + b"\r\n\r\n" + body


def told(stack: Stack, *headers: str, path: str = "/probe/request") -> tuple[dict, str]:
    """Return what the application sees of such a request, and the proxy's request id."""
    data = request(*headers, "Connection: close", line=f"GET {path} HTTP/1.1")
    (reply,) = exchange(stack.port, data).replies
    assert reply.status == 200, reply.body
    return json.loads(reply.body), reply.headers["X-Request-ID"]


def gateway(stack: Stack) -> str:
    """Return the address from which this machine reaches a stack's containers."""
    network = stack.docker.networks.get(f"{stack.name}_default")
    return network.attrs["IPAM"]["Config"][0]["Gateway"]


@contextmanager
def configured(stack: Stack, **settings: str) -> Iterator[None]:
    """Run the stack's proxy with other settings, and as before afterwards."""
    recreate = "up --wait --no-build --no-deps --force-recreate proxy"
    try:
        with pytest.MonkeyPatch.context() as environ:
            for name, value in settings.items():
                environ.setenv(name, value)
            stack.compose(recreate)
            yield
    finally:
        stack.compose(recreate)


class Witness:
    """Knows what reached the application since it was made."""

    def __init__(self, stack: Stack) -> None:
        self.port = stack.port
        self.end: int | None = None
        self.requests()

    def get(self, path: str) -> dict:
        """Ask as another client, on a connection of its own."""
        response = requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=15)
        assert response.status_code == 200, response.text
        return response.json()

    def requests(self) -> list[dict]:
        """Return what came to the application since this was last asked."""
        question = uuid4().hex
        after = "" if self.end is None else f"&after={self.end}"
        told = self.get(f"/probe/seen?question={question}{after}")
        assert told["question"] == question, "a foreign response"
        self.end = told["end"]
        return told["requests"]


def check(stack: Stack, probe: Probe) -> tuple[Exchange, list[dict]]:
    """Send a probe with a canary behind it; return the responses and what the application got.

    Whatever the probe is, the application gets each of the two once at most and nothing else, every
    response is for the request that it follows, and another client gets its own.
    """
    token = uuid4().hex
    witness = Witness(stack)

    def filled(text: bytes) -> bytes:
        return text.replace(b"TOKEN", token.encode())

    found = exchange(witness.port, filled(probe.data + CANARY), methods=(probe.method,), wait=2)
    assert witness.get(f"/probe/echo/other/{token}")["name"] == f"other/{token}", (
        "a foreign response"
    )
    *seen, other = witness.requests()
    assert other["path"] == f"/probe/echo/other/{token}"

    paths = [got["path"] for got in seen]
    first = probe.path.replace("TOKEN", token)
    canary = f"/probe/echo/canary/{token}"
    assert paths in ([], [first], [canary], [first, canary]), found.statuses
    assert (found.statuses or [CLOSED])[0] in probe.safe, (found.statuses, paths)
    reached = [path for path in paths if path.startswith("/probe/echo/")]
    if first in reached:
        # What the application refuses itself, it has seen: its method, or a character in a field.
        by_application = found.replies[0].headers["X-Probe-Path"] is not None
        assert found.statuses[0] == 200 or (by_application and found.statuses[0] in (400, 405)), (
            "what was refused reached the application"
        )
        hashes = [hashlib.sha256(filled(body)).hexdigest() for body in probe.bodies]
        assert seen[0]["sha256"] in hashes, "another body than was sent"
        if found.statuses[0] != 200:
            reached.remove(first)
    assert found.rest == b""
    names = [json.loads(reply.body)["name"] for reply in found.replies if echoed(reply)]
    assert names == [path.removeprefix("/probe/echo/") for path in reached], found.statuses
    return found, seen


def echoed(reply: Reply) -> bool:
    """Say whether a response is the echo's."""
    return reply.status == 200 and reply.headers.get_content_type() == "application/json"


# Stand on every response.
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


def assert_guarded(headers: Message, body: bytes) -> None:
    """Once each, from whomever the response comes; and nobody tells what runs here."""
    for name, value in GUARDS.items():
        assert headers.get_all(name) == [value]
    (request_id,) = headers.get_all("X-Request-ID")
    assert len(request_id) >= 16
    assert headers["Server"] in ("nginx", "Apache")
    assert headers["X-Powered-By"] is None
    for version in (b"nginx/", b"Apache/", b"Python/", b"Traceback", b"Werkzeug"):
        assert version not in body
