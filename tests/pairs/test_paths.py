"""Paths and queries reach the application as the client sent them."""

from urllib.parse import quote, unquote

import pytest

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack


def ask(stack: Stack, target: bytes):
    with Raw(stack) as client:
        client.send(b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.response()


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ("/a%2Fb", "/a/b"),
        ("/a%252Fb", "/a%252Fb"),
        ("/a%2fb%3Fc", "/a/b%3Fc"),
        ("/%E2%82%AC", "/%E2%82%AC"),
        ("/%FF", "/%FF"),
        ("/%20+a", "/%20%2Ba"),
        ("/a;b=c", "/a%3Bb%3Dc"),
        ("/a;/b", "/a%3B/b"),
        ("/a&b=c@d!e$f'(g)*,:~", "/a%26b%3Dc%40d%21e%24f%27%28g%29%2A%2C%3A~"),
        ("/%61%62", "/ab"),
        ("/a%5Cb", "/a%5Cb"),
        ("/a%22%3Cb", "/a%22%3Cb"),
        ("/a/", "/a/"),
        ("/a%23b", "/a%23b"),
    ],
)
def test_path(stack: Stack, sent: str, given: str):
    response = ask(stack, b"/probe/path" + sent.encode())
    assert response.headers["X-Probe-Path"] == f"/probe/path{given}"
    # A path with invalid UTF-8 reaches the application too, which has no such route.
    assert response.status == 404


@pytest.mark.parametrize(
    "query",
    [
        "a=1&b=2",
        "",
        "?",
        "a=%26%3D",
        "%E2%82%AC=%FF",
        "a=1&a=2",
        "/../?/",
        "a=b;c",
        "a+b=%20",
        "x" * 4000,
    ],
)
def test_query(stack: Stack, query: str):
    response = ask(stack, f"/probe/request?{query}".encode())
    assert response.status == 200
    assert response.headers["X-Probe-Query"] == query


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ("/x//y", "/x//y"),
        ("/x//", "/x//"),
        ("/./x", "/./x"),
        ("/x/.", "/x/."),
        ("/a/../b", "/a/../b"),
        ("/a/%2e%2e/b", "/a/../b"),
        ("/probe/a/..;/b", "/probe/a/..%3B/b"),
    ],
)
def test_dots_and_slashes_reach_the_application(stack: Stack, sent: str, given: str):
    assert ask(stack, sent.encode()).headers["X-Probe-Path"] == given


def test_slashes_at_the_start(stack: Stack):
    """They are part of the path, not of a host: httpd merges them, nginx keeps them."""
    response = ask(stack, b"//evil.example/x")
    assert response.status == 404
    assert response.headers["X-Probe-Path"] in ("//evil.example/x", "/evil.example/x")


@pytest.mark.parametrize(
    "sent", ["/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a/../../etc/passwd"]
)
def test_paths_cannot_leave_the_root(stack: Stack, sent: str):
    response = ask(stack, sent.encode())
    assert response.status == 400
    assert "X-Probe-Path" not in response.headers


@pytest.mark.parametrize("sent", [b"/probe/\xe2\x82\xac", b"/probe/\xff", b"/probe/request?\xff"])
def test_raw_bytes(stack: Stack, sent: bytes):
    """Raw bytes are rejected: they must be percent-encoded (RFC 9112, 3.2)."""
    response = ask(stack, sent)
    assert response.status == 400
    assert "X-Probe-Path" not in response.headers


@pytest.mark.parametrize("sent", ["/%00", "/a%00b", "/probe/request%00", "/%zz", "/%", "/%1"])
def test_refused_by_the_proxy(stack: Stack, sent: str):
    response = ask(stack, sent.encode())
    assert response.status in (400, 404)
    assert "X-Probe-Path" not in response.headers


@pytest.mark.parametrize("sent", ["/%0d%0aX-Evil:%201", "/a%0d%0a%0d%0aevil", "/%0aX-Evil:1"])
def test_line_ends_stay_in_the_path(stack: Stack, sent: str):
    response = ask(stack, sent.encode())
    assert response.status == 404
    assert response.headers["X-Probe-Path"] == quote(unquote(sent))
    assert "X-Evil" not in response.headers


def test_line_ends_stay_in_a_redirect(stack: Stack):
    response = ask(stack, b"/probe/folder?%0d%0aX-Evil:1")
    assert response.status == 308
    assert "X-Evil" not in response.headers


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/probe/request#part", 400),
        ("http://localhost/probe/request", 200),
        ("probe/request", 400),
        ("*", 400),
    ],
)
def test_target(stack: Stack, target: str, status: int):
    response = ask(stack, target.encode())
    assert response.status == status
    assert response.headers["X-Probe-Path"] == ("/probe/request" if status == 200 else None)
