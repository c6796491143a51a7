"""The same limits on every pair: a request just below passes, one just above is rejected.

docs/security.md lists the limits. The proxy's limits apply first, so the error page is the proxy's.
"""

from collections.abc import Callable

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import assert_security_headers, request

LINE = "GET /probe/empty HTTP/1.1"
CLOSE = "Connection: close"


def with_line(size: int) -> bytes:
    """Return a request whose request line has this size, without the line ending."""
    start, end = "GET /probe/empty?", " HTTP/1.1"
    return request(CLOSE, line=start + "a" * (size - len(start + end)) + end)


def with_field(size: int) -> bytes:
    """Return a request with a field of this size: name, colon, space and value."""
    return request(CLOSE, "X-Field: " + "a" * (size - len("X-Field: ")), line=LINE)


def with_name(size: int) -> bytes:
    """Return a request with a field of this size; most of it is the name."""
    return request(CLOSE, "X" * (size - len(": a")) + ": a", line=LINE)


def with_fields(count: int) -> bytes:
    """Return a request with this number of fields, including Host and Connection."""
    return request(CLOSE, *(f"X-{number}: a" for number in range(count - 2)), line=LINE)


def with_header(size: int) -> bytes:
    """Return a request whose request line and fields have this total size."""
    fields = [f"X-{number}: " + "a" * 2000 for number in range(14)]
    rest = size - len(request(CLOSE, *fields, "X-Rest: ", line=LINE))
    return request(CLOSE, *fields, "X-Rest: " + "a" * rest, line=LINE)


def with_body(size: int) -> bytes:
    """Return a request whose body has this size."""
    line = "POST /probe/unread HTTP/1.1"
    return request(CLOSE, f"Content-Length: {size}", line=line, body=bytes(size))


@pytest.mark.parametrize(
    ("make", "most", "refusal"),
    [
        (with_line, 16_382, 414),
        (with_field, 16_382, 400),
        (with_name, 16_382, 400),
        (with_fields, 92, 400),
        (with_header, 31_999, 400),
        (with_body, 10_485_760, 413),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_limit_of_a_request(stack: Stack, make: Callable[[int], bytes], most: int, refusal: int):
    (reply,) = exchange(stack.port, make(most)).replies
    assert reply.status in (200, 204)
    reply = exchange(stack.port, make(most + 1)).replies[0]
    assert reply.status == refusal
    assert "X-Probe-Path" not in reply.headers, "the request reached the application"
    assert_security_headers(reply.headers, reply.body)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/probe/long-header/9000", 9_000),
        ("/probe/long-header/60000", 60_000),
        ("/probe/many-headers/4/6000", 24_000),
        ("/probe/many-headers/8/3800", 30_400),
        ("/probe/many-headers/70/700", 49_000),
    ],
)
def test_header_of_a_response(stack: Stack, path: str, size: int):
    response = stack.get(path)
    assert response.status_code == 200
    assert sum(len(value) for value in response.headers.values()) > size


def test_header_of_a_response_beyond_the_limit(stack: Stack):
    data = request(CLOSE, line="GET /probe/long-header/70000 HTTP/1.1")
    (reply,) = exchange(stack.port, data).replies
    assert reply.status == 502
    assert_security_headers(reply.headers, reply.body)
