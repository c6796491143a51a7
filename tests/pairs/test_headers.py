"""Headers: sizes, repeated fields, and the headers of every response."""

from urllib.parse import urlencode

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack, wait_until
from tests.pairs.request_recorder import (
    FIRST,
    SECURITY_HEADERS,
    Probe,
    assert_security_headers,
    check,
    request,
)

TAKEN = frozenset({200})
LINE = f"GET {FIRST} HTTP/1.1"

# --- Sizes ---

SIZES = [
    Probe("header-7-KB", request("X-A: " + "a" * 7_000, line=LINE), TAKEN),
    Probe("header-value-of-many-words", request("Cookie: " + "a=b; " * 1_400, line=LINE), TAKEN),
    Probe(
        "headers-28-KB", request(*(f"X-{n}: " + "a" * 7_000 for n in range(4)), line=LINE), TAKEN
    ),
    Probe("headers-90", request(*(f"X-{n}: a" for n in range(90)), line=LINE), TAKEN),
    Probe("headers-90-alike", request(*["X-A: a"] * 90, line=LINE), TAKEN),
    Probe("URL-4-KB", request(line=f"GET {FIRST}?{'u' * 4_000} HTTP/1.1"), TAKEN),
    Probe("URL-7-KB", request(line=f"GET {FIRST}?{'u' * 7_000} HTTP/1.1"), TAKEN),
    Probe("header-20-KB", request("X-A: " + "a" * 20_000, line=LINE), frozenset({400, 431})),
    Probe("header-name-20-KB", request("X" * 20_000 + ": a", line=LINE), frozenset({400, 431})),
    Probe("URL-20-KB", request(line=f"GET {FIRST}?{'u' * 20_000} HTTP/1.1"), frozenset({414})),
    Probe(
        "headers-150", request(*(f"X-{n}: a" for n in range(150)), line=LINE), frozenset({400, 431})
    ),
    Probe("headers-150-alike", request(*["X-A: a"] * 150, line=LINE), frozenset({400, 431})),
    Probe(
        "headers-5000",
        request(*(f"X-{n}: a" for n in range(5_000)), line=LINE),
        frozenset({400, 431}),
    ),
    Probe(
        "headers-1-MB",
        request(*(f"X-{n}: " + "a" * 10_000 for n in range(100)), line=LINE),
        frozenset({400, 431}),
    ),
]


@pytest.mark.parametrize("probe", SIZES, ids=str)
def test_size(stack: Stack, probe: Probe):
    check(stack, probe)


# --- Repeated fields, and the application's headers ---

REPEATED = {
    "content-type": ["Content-Type: text/plain", "Content-Type: application/json"],
    "content-type-alike": ["Content-Type: text/plain"] * 2,
    "content-type-list": ["Content-Type: text/plain, application/json"],
    "content-type-look-alike": ["Content-Type: text/plain", "Content_Type: application/json"],
    "accept": ["Accept: text/html", "Accept: */*"],
    "cookie": ["Cookie: a=1", "Cookie: b=2"],
    "authorization": ["Authorization: Basic YTpi", "Authorization: Basic Yzpk"],
    "user-agent": ["User-Agent: a", "User-Agent: b"],
    "range": ["Range: bytes=0-1", "Range: bytes=2-3"],
    "if-none-match": ['If-None-Match: "a"', 'If-None-Match: "b"'],
}


@pytest.mark.parametrize("name", REPEATED)
def test_repeated_header(stack: Stack, name: str):
    """The request is rejected, or reaches the application once, with its body."""
    data = request(*REPEATED[name], "Content-Length: 5", body=b"hello")
    check(stack, Probe(name, data, frozenset({200, 400}), (b"hello",)))


def test_two_cookies_are_two_headers(stack: Stack):
    data = request("Connection: close", line="GET /probe/cookies HTTP/1.1")
    (reply,) = exchange(stack.port, data).replies
    assert reply.headers.get_all("Set-Cookie") == ["first=1; Path=/", "second=2; Path=/"]


def test_headers_of_the_application(stack: Stack):
    sent = {"Authorization": "Bearer abc", "Cookie": "a=b", "X-Own": "a \t b"}
    headers = stack.get("/probe/request", headers=sent).json()["headers"]
    assert sent.items() <= {name.title(): value for name, value in headers}.items()


def test_non_ascii_characters(stack: Stack):
    headers = stack.get("/probe/request", headers={"X-Own": "\xe4"}).json()["headers"]
    assert dict(headers)["X-Own"] == "\xe4"


@pytest.mark.parametrize(
    "content_type", ["text/xml", "text/xml; charset=ISO-8859-1", "text/plain", "image/svg+xml"]
)
def test_content_type_of_the_application(stack: Stack, content_type: str):
    """No charset is added: XML declares its own encoding, which a charset would override."""
    response = stack.get("/probe/headers/200", params={"Content-Type": content_type})
    assert response.headers["Content-Type"] == content_type
    assert response.content == b"\xe4"


# Each value differs from the default.
OWN = {
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "own",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Permissions-Policy": "camera=(self)",
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Strict-Transport-Security": "max-age=60",
}


@pytest.mark.parametrize("status", [200, 404, 503])
def test_security_headers_of_the_application_take_precedence(stack: Stack, status: int):
    """Each header occurs once, with the view's value."""
    line = f"GET /probe/headers/{status}?{urlencode(OWN)} HTTP/1.1"
    (reply,) = exchange(stack.port, request("Connection: close", line=line)).replies
    assert reply.status == status
    assert {name: reply.headers.get_all(name) for name in OWN} == {
        name: [value] for name, value in OWN.items()
    }


def test_an_application_with_one_security_header_gets_the_others(stack: Stack):
    line = "GET /probe/headers/200?X-Frame-Options=SAMEORIGIN HTTP/1.1"
    (reply,) = exchange(stack.port, request("Connection: close", line=line)).replies
    for name, value in (SECURITY_HEADERS | {"X-Frame-Options": "SAMEORIGIN"}).items():
        assert reply.headers.get_all(name) == [value]


# --- On every response ---

OVER_THE_LIMIT = (
    b"POST /probe/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
)
RESPONSES = {
    "200": (200, request("Connection: close", line="GET / HTTP/1.1")),
    "200-static": (200, request("Connection: close", line="GET /static/style.css HTTP/1.1")),
    "200-proxy": (200, request("Connection: close", line="GET /health/proxy HTTP/1.1")),
    "204": (204, request("Connection: close", line="GET /probe/empty HTTP/1.1")),
    "404": (404, request("Connection: close", line="GET /nothing HTTP/1.1")),
    "404-static": (404, request("Connection: close", line="GET /static/nothing HTTP/1.1")),
    "405": (405, request("Connection: close", line="DELETE / HTTP/1.1")),
    "405-proxy": (405, request("Connection: close", line="CONNECT evil.example:443 HTTP/1.1")),
    "413": (413, OVER_THE_LIMIT),
    "414": (414, request(line=f"GET /{'u' * 20_000} HTTP/1.1")),
    "500": (500, request("Connection: close", line="GET /probe/fail HTTP/1.1")),
    "501": (501, request("Transfer-Encoding: gzip, chunked")),
    "505": (505, request("Connection: close", line="GET / HTTP/2.0")),
    "400-method": (400, request(line="get / HTTP/1.1")),
    "400-header": (400, request("X-A : b", line="GET / HTTP/1.1")),
    "400-header-size": (400, request("X-A: " + "a" * 20_000, line="GET / HTTP/1.1")),
    "400-headers": (400, request(*["X-A: a"] * 150, line="GET / HTTP/1.1")),
    "400-host": (400, request(line="GET / HTTP/1.1", host="")),
    "400-target": (400, request(line="GET /%zz HTTP/1.1")),
    "400-length": (400, request("Content-Length: 1x")),
}  # fmt: skip


@pytest.mark.parametrize("response", RESPONSES)
def test_every_response_has_security_headers(stack: Stack, response: str):
    status, data = RESPONSES[response]
    reply = exchange(stack.port, data, wait=1).replies[0]
    assert reply.status == status
    assert_security_headers(reply.headers, reply.body)


def test_each_response_has_its_own_request_id(stack: Stack):
    ids = {stack.get("/").headers["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.destructive
def test_response_without_an_application_has_security_headers(stack: Stack):
    app = stack.container("app")
    app.kill()
    try:
        data = request("Connection: close", line="GET / HTTP/1.1")
        (reply,) = exchange(stack.port, data, wait=5).replies
        assert reply.status in (502, 503, 504)
        assert_security_headers(reply.headers, reply.body)
    finally:
        app.start()
        wait_until(lambda: stack.get("/").status_code == 200, timeout=30)
