"""Request bodies arrive completely or not at all, however they are sent."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack

SIZES = [0, 1, 1024, 70_000, 300_000, 1024 * 1024]
LIMIT = 10 * 1024 * 1024


def seen(body: bytes) -> dict[str, object]:
    """Return the application's response to a body that arrived completely."""
    return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def chunked(body: bytes, size: int, extension: str = "") -> bytes:
    """Return the body in chunks of this size, without the final empty chunk."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension.encode(), piece) for piece in pieces)


@pytest.mark.parametrize("size", SIZES)
def test_upload_with_a_length(stack: Stack, size: int):
    body = os.urandom(size)
    assert stack.request("POST", "/probe/upload", data=body).json() == seen(body)


@pytest.mark.smoke
@pytest.mark.parametrize("size", SIZES)
def test_upload_in_chunks(stack: Stack, size: int):
    body = os.urandom(size)
    chunks = (body[start : start + 8000] for start in range(0, size, 8000))
    assert stack.request("POST", "/probe/upload", data=chunks).json() == seen(body)


def test_the_proxy_buffers_chunks(stack: Stack):
    """The application gets them as one body of known length, so slow clients occupy no thread."""
    environ = stack.request("POST", "/probe/environ", data=iter([b"a" * 70_000] * 2)).json()
    assert environ["CONTENT_LENGTH"] == "140000"
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_upload_of_exactly_the_limit(stack: Stack):
    body = bytes(LIMIT)
    assert stack.request("POST", "/probe/upload", data=body).json() == seen(body)


@pytest.mark.parametrize(
    ("size", "chunk", "extension", "end"),
    [
        (300, 1, "", b"0\r\n\r\n"),
        (100_000, 30_000, ";name=value", b"0\r\n\r\n"),
        (100_000, 30_000, ';name="quoted; \\" value";flag', b"0;last\r\n\r\n"),
        (1000, 100, "", b"000\r\n\r\n"),
        (1000, 100, "", b"0\r\nX-Trailer: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"),
        (0, 1, "", b"0\r\n\r\n"),
        (0, 1, "", b"0\r\nX-Trailer: evil\r\n\r\n"),
    ],
    ids=["one-byte", "extensions", "quoted", "zeros", "trailers", "empty", "empty-trailers"],
)
def test_chunks(stack: Stack, size: int, chunk: int, extension: str, end: bytes):
    body = os.urandom(size)
    with Raw(stack) as client:
        client.request(
            "POST /probe/upload HTTP/1.1",
            "Transfer-Encoding: chunked",
            body=chunked(body, chunk, extension) + end,
        )
        response = client.response()
        assert (response.status, response.json()) == (200, seen(body))
        client.request("GET /probe/request HTTP/1.1")
        assert client.response().json()["address"] != "6.6.6.6"


def test_trailers_are_no_headers(stack: Stack):
    with Raw(stack) as client:
        client.request(
            "POST /probe/request HTTP/1.1",
            "Transfer-Encoding: chunked",
            "Trailer: X-Trailer",
            body=b"1\r\nx\r\n0\r\nX-Trailer: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        )
        told = client.response().json()
    assert "evil" not in str(told)
    assert "6.6.6.6" not in str(told)


def test_long_trailers(stack: Stack):
    """Long trailers are accepted or rejected, and the service stays available."""
    trailers = b"".join(b"X-Trailer-%d: %s\r\n" % (number, b"x" * 1000) for number in range(50))
    with Raw(stack) as client:
        client.request(
            "POST /probe/upload HTTP/1.1",
            "Transfer-Encoding: chunked",
            "Connection: close",
            body=b"1\r\nx\r\n0\r\n" + trailers + b"\r\n",
        )
        response = client.response()
    assert response.status in (200, 400, 431)
    assert response.status != 200 or response.json() == seen(b"x")
    assert stack.get("/health/live").status_code == 200


def test_chunks_one_by_one(stack: Stack):
    """Chunks that are split over many packets arrive completely."""
    with Raw(stack) as client:
        client.request("POST /probe/upload HTTP/1.1", "Transfer-Encoding: chunked")
        for part in (
            b"5",
            b"\r",
            b"\n",
            b"ab",
            b"cde",
            b"\r\n",
            b"1\r\nf\r",
            b"\n0",
            b"\r\n\r",
            b"\n",
        ):
            client.send(part)
        assert client.response().json() == seen(b"abcdef")


@pytest.mark.parametrize("send_body", [True, False], ids=["with-body", "waiting"])
@pytest.mark.parametrize("expected", ["100-continue", "100-Continue"])
def test_expect_continue(stack: Stack, send_body: bool, expected: str):
    """The response comes at once, whether or not the client waits for 100 Continue."""
    with Raw(stack, timeout=2) as client:
        headers = (f"Expect: {expected}", "Content-Length: 1000")
        client.request("POST /probe/upload HTTP/1.1", *headers)
        if not send_body:
            line = client.stream.readline()
            assert line.startswith(b"HTTP/1.1 100 ")
            while client.stream.readline() != b"\r\n":
                pass
        client.send(b"x" * 1000)
        assert client.response().json() == seen(b"x" * 1000)
        client.request("GET /health/live HTTP/1.1")
        assert client.response().status == 200


def test_expect_continue_without_a_body(stack: Stack):
    with Raw(stack, timeout=2) as client:
        client.request("GET /health/live HTTP/1.1", "Expect: 100-continue")
        assert client.response().status == 200


def test_unsupported_expectation(stack: Stack):
    """An unsupported expectation is rejected or ignored, without waiting."""
    with Raw(stack, timeout=2) as client:
        client.request(
            "POST /probe/upload HTTP/1.1", "Expect: 200-maybe", "Content-Length: 1", body=b"x"
        )
        assert client.response().status in (200, 417)
    assert stack.get("/health/live").status_code == 200


@pytest.mark.parametrize("header", ["Accept: */*", "Expect: 100-continue"])
def test_length_over_the_limit_is_refused_at_once(stack: Stack, header: str):
    """The proxy rejects the announced length without waiting for the body."""
    with Raw(stack, timeout=2) as client:
        client.request("POST /probe/upload HTTP/1.1", header, f"Content-Length: {LIMIT + 1}")
        response = client.response()
        assert response.status == 413
        assert "X-Probe-Path" not in response.headers
        # Otherwise the body would be read as a request.
        assert response.headers["Connection"] == "close"


@pytest.mark.smoke
@pytest.mark.parametrize("in_chunks", [False, True])
def test_body_over_the_limit(stack: Stack, in_chunks: bool):
    body = bytes(LIMIT + 1024 * 1024)
    response = stack.request("POST", "/probe/upload", data=iter([body]) if in_chunks else body)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Length: 1000", b"x" * 999),
        ("Content-Length: 1000000", b"x" * 500_000),
        ("Content-Length: 10", b""),
        ("Transfer-Encoding: chunked", chunked(b"x" * 1000, 100)),
        ("Transfer-Encoding: chunked", chunked(b"x" * 500_000, 8000)),
        ("Transfer-Encoding: chunked", b"64\r\n" + b"x" * 50),
        ("Transfer-Encoding: chunked", b"64\r\n" + b"x" * 100 + b"\r\n0\r\n"),
        ("Transfer-Encoding: chunked", b"6"),
    ],
    ids=[
        "length",
        "long-length",
        "no-body",
        "no-last-chunk",
        "long-no-last-chunk",
        "half-a-chunk",
        "half-the-end",
        "half-a-size",
    ],
)
@pytest.mark.parametrize("leave", ["half", "wholly"])
def test_incomplete_body_is_not_processed(stack: Stack, header: str, body: bytes, leave: str):
    name = uuid4().hex
    with Raw(stack) as client:
        client.request(f"POST /probe/commit/{name} HTTP/1.1", header, body=body)
        if leave == "half":
            client.socket.shutdown(1)  # SHUT_WR: the client sends nothing more
            said = client.stream.read()
            assert not said or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ")), said
    # A later request on a new connection succeeds: the incomplete body was not processed.
    assert stack.get(f"/probe/marks/{name}").text == ""
    CUT_OFF.setdefault(str(stack.pair), []).append(name)


# Marks that must never appear. A later test checks them again.
CUT_OFF: dict[str, list[str]] = {}


def test_complete_body_is_processed_once(stack: Stack):
    name = uuid4().hex
    assert stack.request("POST", f"/probe/commit/{name}", data=b"x" * 1000).text == "committed 1000"
    assert stack.get(f"/probe/marks/{name}").text == "x"


def test_incomplete_bodies_were_never_processed(stack: Stack):
    names = CUT_OFF[str(stack.pair)]
    assert names
    assert [stack.get(f"/probe/marks/{name}").text for name in names] == [""] * len(names)


@pytest.mark.parametrize("path", ["/probe/unread", "/nothing-here", "/probe/fail", "/"])
def test_unread_body_and_the_request_behind_it(stack: Stack, path: str):
    statuses = {"/probe/unread": 200, "/nothing-here": 404, "/probe/fail": 500, "/": 405}
    body = b"GET /probe/fail HTTP/1.1\r\n" * 12_000
    for header, sent in (
        (f"Content-Length: {len(body)}", body),
        ("Transfer-Encoding: chunked", chunked(body, 8000) + b"0\r\n\r\n"),
    ):
        with Raw(stack) as client:
            client.request(f"POST {path} HTTP/1.1", header, body=sent)
            client.request("GET /health/live HTTP/1.1")
            first = client.response()
            assert first.status == statuses[path]
            # httpd closes the connection after a 500.
            if first.headers.get("Connection") != "close":
                assert client.response().body == b'{"status":"ok"}\n'


def test_eighty_unread_bodies(stack: Stack):
    body = bytes(300_000)

    def post(_: int) -> int:
        return requests.post(f"{stack.url}/probe/unread", data=body, timeout=15).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(post, range(80))) == [200] * 80


@pytest.mark.slow
def test_slow_upload_is_ended(stack: Stack):
    """The proxy ends a steady upload of 1000 bytes per second, which would take hours."""
    assert stack.slow.result(timeout=60).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("parts", "status"), [(1000, 200), (1001, 413)])
def test_parts_of_a_form(stack: Stack, parts: int, status: int):
    fields = {f"field{number}": (None, "x") for number in range(parts)}
    response = stack.request("POST", "/probe/form", files=fields)
    assert response.status_code == status
    assert status != 200 or response.text == "1000"


def test_form_with_a_long_field(stack: Stack):
    response = stack.request("POST", "/probe/form", files={"field": (None, "x" * 600_000)})
    assert response.status_code == 413
