"""HTTP/2: the same responses as HTTP/1.1, and no request smuggling."""

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from h2.exceptions import ProtocolError

from tests.lib.template import FACTS
from tests.pairs.request_recorder import SECURITY_HEADERS, RequestRecorder
from tests.pairs.test_forwarding import SPOOFED
from tests.tls.conftest import PAIRS_TRIED
from tests.tls.https import HttpsStack


def settings(stack: HttpsStack) -> dict[str, Any]:
    """Return the arguments for an httpx client that uses only HTTP/2, over one connection."""
    context = ssl.create_default_context(cafile=stack.certificate)
    protocols = {"http1": False, "http2": True}
    return {"base_url": stack.url, "verify": context, "timeout": 15, "trust_env": False} | protocols


@pytest.fixture(scope="module")
def client(stack: HttpsStack) -> Iterator[httpx.Client]:
    """A client that speaks HTTP/2."""
    with httpx.Client(**settings(stack)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/health/proxy"),
        ("GET", "/static/style.css"),
        ("GET", "/static/nothing"),
        ("GET", "/nothing-here"),
        ("GET", "/probe/fail"),
        ("GET", "/probe/bytes/1000000"),
        ("GET", "/probe/redirect/address"),
        ("GET", "/probe/cookies"),
        ("GET", "/probe/file"),
        ("OPTIONS", "/"),
        ("DELETE", "/"),
        ("GET", "/a%2Fb/%C3%A9?c=%20&d"),
    ],
    ids=str,
)
def test_responses_are_those_of_http_1(
    stack: HttpsStack, client: httpx.Client, method: str, path: str
):
    old, new = stack.request(method, path), client.request(method, path)
    assert new.http_version == "HTTP/2"
    assert (new.status_code, new.content) == (old.status_code, old.content)
    for name in ("Content-Type", "Location", "Allow", "ETag", "Cache-Control", "Set-Cookie"):
        assert new.headers.get(name) == old.headers.get(name), name
    for response in (old.raw.headers.getlist, new.headers.get_list):
        assert response("Strict-Transport-Security") == ["max-age=31536000"]
        for name, value in SECURITY_HEADERS.items():
            assert response(name) == [value], name
        assert len(response("X-Request-ID")) == 1
        assert not response("Upgrade")
    assert not new.headers.get("Connection")


@pytest.mark.parametrize("size", [0, 1, 70_000, 1_000_000])
@pytest.mark.parametrize("announced", [True, False])
def test_upload(client: httpx.Client, size: int, announced: bool):
    body = bytes(number % 251 for number in range(size))
    response = client.post("/probe/upload", content=body if announced else iter([body]))
    assert response.json() == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


def test_upload_over_the_limit(stack: HttpsStack, client: httpx.Client):
    body = bytes(11 * 1024 * 1024)
    assert client.post("/probe/upload", content=iter([body])).status_code == 413
    # A body with a Content-Length is rejected before it arrives.
    fields = HEAD | {b":path": b"/probe/upload", b"content-length": b"%d" % len(body)}
    assert send(stack, list(fields.items())) == 413


def test_address_over_the_limit(stack: HttpsStack, client: httpx.Client):
    for ask in (stack.get, client.get):
        assert ask("/" + "u" * 20_000).status_code == 414


def test_events_arrive_one_by_one(stack: HttpsStack, client: httpx.Client):
    """Each event is made only after the previous one has arrived."""
    name = uuid4().hex
    with client.stream("GET", f"/probe/stream/{name}") as response:
        for number, event in enumerate(response.iter_raw()):
            assert event == f"data: {number}\n\n".encode()
            stack.request("PUT", f"/probe/marks/{name}")
    assert number == 4


def test_many_requests_at_once(stack: HttpsStack):
    names = [uuid4().hex for _ in range(20)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(**settings(stack)) as client:
            return await asyncio.gather(*(client.get(f"/probe/work/0.1/{name}") for name in names))

    assert [response.text for response in asyncio.run(ask())] == [
        f"{name}\n" * 1000 for name in names
    ]


def test_the_application_knows_the_client(stack: HttpsStack, client: httpx.Client):
    """It sees the client's address, scheme and host, despite spoofed headers."""
    for spoofed in ({}, SPOOFED, SPOOFED | {"X-Forwarded-Proto": "http"}):
        told = client.get("/probe/request", headers=spoofed).json()
        assert told["scheme"] == "https"
        assert told["root"] == f"{stack.url}/"
        network = stack.docker.networks.get(f"{stack.name}_default")
        assert told["address"] == network.attrs["IPAM"]["Config"][0]["Gateway"]
        for name, value in told["headers"]:
            assert "evil" not in value and "6.6.6.6" not in value, name


# --- Requests that no library sends ---

SMUGGLED = b"GET /probe/echo/smuggled/TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED, EITHER = frozenset(), frozenset({200})
HEAD = {
    b":method": b"POST",
    b":scheme": b"https",
    b":authority": b"localhost",
    b":path": b"/probe/echo/first/TOKEN",
}


@dataclass(frozen=True)
class Fields:
    """Fields that are added to a request's usual ones or replace them; TOKEN is a new token."""

    id: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b"hello"
    # Allowed statuses, in addition to rejections and a closed connection.
    statuses: frozenset[int] = REFUSED

    def __str__(self) -> str:
        return self.id


CHUNKED = b"0\r\n\r\n" + SMUGGLED
CRLF = b"b\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED
REQUESTS = [
    Fields("plain", (), statuses=EITHER),
    Fields("length-too-short", ((b"content-length", b"0"),), SMUGGLED),
    Fields("length-too-long", ((b"content-length", b"99"),)),
    Fields("lengths", ((b"content-length", b"5"), (b"content-length", b"0"))),
    Fields("chunked", ((b"transfer-encoding", b"chunked"),), CHUNKED, EITHER),
    Fields("chunked-alike", ((b"transfer_encoding", b"chunked"),), CHUNKED, EITHER),
    Fields("length-alike", ((b"content_length", b"0"),), SMUGGLED, EITHER),
    Fields("connection", ((b"connection", b"x-forwarded-for"),), statuses=EITHER),
    Fields("te", ((b"te", b"chunked"),), statuses=EITHER),
    Fields("line-in-value", ((b"x-a", CRLF),)),
    Fields("line-feed-in-value", ((b"x-a", b"b\nTransfer-Encoding: chunked"),)),
    Fields("nul-in-value", ((b"x-a", b"b\0c"),)),
    Fields("line-in-name", ((b"x-a: b\r\nTransfer-Encoding", b"chunked"),)),
    Fields("colon-in-name", ((b"transfer-encoding:chunked", b"a"),)),
    Fields("space-in-name", ((b"transfer-encoding ", b"chunked"),)),
    Fields("upper-case-name", ((b"Transfer-Encoding", b"chunked"),)),
    Fields("line-in-method", ((b":method", b"GET / HTTP/1.1\r\nX-A:"),)),
    Fields("space-in-method", ((b":method", b"GET /probe/echo/smuggled/TOKEN HTTP/1.1 "),)),
    Fields("line-in-path", ((b":path", b"/ HTTP/1.1\r\n\r\n" + SMUGGLED),)),
    Fields("space-in-path", ((b":path", b"/ HTTP/1.1"),)),
    Fields("path-that-is-none", ((b":path", b"probe"),)),
    Fields("line-in-authority", ((b":authority", b"a\r\nX-A: b"),)),
    Fields("scheme-of-http", ((b":scheme", b"http"),), statuses=EITHER),
    Fields("scheme-that-is-none", ((b":scheme", b"https://a/?"),), statuses=EITHER),
    Fields("other-host", ((b"host", b"evil.example"),), statuses=EITHER),
    *(
        Fields(f"claim-{name}", ((name.encode(), b"6.6.6.6"),), statuses=EITHER)
        for name in ("x-forwarded-for", "x_forwarded_for", "x-real-ip", "forwarded")
    ),
]


@contextmanager
def connect(stack: HttpsStack) -> Iterator[tuple[ssl.SSLSocket, h2.connection.H2Connection]]:
    """Open an HTTP/2 connection; yield its socket, and the object that makes and reads frames."""
    context = ssl.create_default_context(cafile=stack.certificate)
    context.set_alpn_protocols(["h2"])
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False
    )
    talk = h2.connection.H2Connection(config)
    with (
        socket.create_connection(("127.0.0.1", stack.https_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        talk.initiate_connection()
        yield connection, talk


def send(
    stack: HttpsStack, fields: list[tuple[bytes, bytes]], body: bytes | None = None
) -> int | None:
    """Send a request unchanged, on a new connection; return the status, or None without one.

    Without a body, the stream stays open, as if a body followed.
    """
    with connect(stack) as (connection, talk):
        talk.send_headers(1, fields)
        if body is not None:
            talk.send_data(1, body, end_stream=True)
        connection.sendall(talk.data_to_send())
        while data := connection.recv(65536):
            try:
                events = talk.receive_data(data)
            except ProtocolError:
                return None
            for event in events:
                if isinstance(event, h2.events.ResponseReceived):
                    return int(dict(event.headers)[b":status"])
                if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return None
            connection.sendall(talk.data_to_send())
    return None


@pytest.mark.parametrize("probe", REQUESTS, ids=str)
def test_frames_that_have_no_form_in_http_1(stack: HttpsStack, probe: Fields):
    """A request is rejected, or arrives as one request with its body and the proxy's headers."""
    token = uuid4().hex.encode()
    recorder = RequestRecorder(stack)

    def filled(text: bytes) -> bytes:
        return text.replace(b"TOKEN", token)

    given = dict(probe.fields)
    fields = [(name, given.get(name, value)) for name, value in HEAD.items()]
    fields += [field for field in probe.fields if field[0] not in HEAD]
    body = filled(probe.body)
    status = send(stack, [(filled(name), filled(value)) for name, value in fields], body)
    assert status is None or status in probe.statuses | {400, 404, 405, 421, 501}, status
    seen = recorder.requests()
    first = filled(HEAD[b":path"]).decode()
    assert [got["path"] for got in seen] in ([], [first]), status
    if status == 200:
        (got,) = seen
        assert got["sha256"] == hashlib.sha256(body).hexdigest()
        assert got["headers"]["HTTP_X_FORWARDED_PROTO"] == "https"
        assert got["headers"]["HTTP_HOST"] == got["headers"]["HTTP_X_FORWARDED_HOST"]
        assert "6.6.6.6" not in json.dumps(got)
    else:
        assert seen == [], "a rejected request reached the application"


# The pairs whose proxy limits the uploads of a client.
LIMITED = [
    pair
    for pair in PAIRS_TRIED
    if "UPLOADS_PER_CLIENT" in FACTS["_proxies"][pair.proxy]["settings"]
]


@pytest.mark.pairs(LIMITED)
def test_uploads_of_one_client(stack: HttpsStack):
    """An upload without a Content-Length counts, as in HTTP/1.1: the sixth is rejected."""
    fields = list((HEAD | {b":path": b"/probe/upload"}).items())
    streams = range(1, 12, 2)
    statuses = {}
    with connect(stack) as (connection, talk):
        for stream in streams:
            talk.send_headers(stream, fields)
        connection.sendall(talk.data_to_send())
        while not statuses:
            for event in talk.receive_data(connection.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    statuses[event.stream_id] = int(dict(event.headers)[b":status"])
            connection.sendall(talk.data_to_send())
    assert statuses == {streams[-1]: 429}
