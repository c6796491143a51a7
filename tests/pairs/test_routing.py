"""Pages, health, methods, redirects and conditional requests."""

import pytest

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack
from tests.lib.template import FACTS
from tests.pairs.project import OWN


@pytest.mark.smoke
def test_front_page_names_the_service_and_not_what_serves_it(stack: Stack):
    response = stack.get("/")
    assert response.status_code == 200
    assert (OWN.name if OWN else FACTS["project_name"]) in response.text
    assert FACTS["_servers"][stack.pair.server]["title"] not in response.text
    assert FACTS["_proxies"][stack.pair.proxy]["title"] not in response.text


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(stack: Stack, path: str):
    assert stack.get(path).json() == {"status": "ok"}


def test_health_of_the_proxy(stack: Stack):
    assert stack.get("/health/proxy").text == "ok\n"


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_response_is_exact(stack: Stack, size: int):
    response = stack.get(f"/probe/bytes/{size}")
    assert response.content == (b"0123456789" * (size // 10 + 1))[:size]
    assert response.headers["Content-Length"] == str(size)


@pytest.mark.smoke
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health/live",
        "/health/proxy",
        "/static/style.css",
        "/nothing-here",
        "/probe/bytes/100000",
        "/probe/empty",
        "/probe/redirect/path",
    ],
)
def test_head_is_get_without_a_body(stack: Stack, path: str):
    got = stack.get(path, headers={"Accept-Encoding": "identity"})
    with Raw(stack) as client:
        client.request(f"HEAD {path} HTTP/1.1")
        head = client.response("HEAD")
        assert (head.status, head.body) == (got.status_code, b"")
        for name in ("Content-Length", "Content-Type", "Location"):
            assert head.headers[name] == got.headers.get(name)
        # The connection is still usable: no data of the response was left on it.
        client.request("GET /health/live HTTP/1.1")
        assert client.response().body == b'{"status":"ok"}\n'


def test_head_of_a_streamed_response(stack: Stack):
    with Raw(stack) as client:
        client.request("HEAD /probe/download/20 HTTP/1.1")
        assert client.response("HEAD").status == 200
        client.request("GET /health/live HTTP/1.1")
        assert client.response().body == b'{"status":"ok"}\n'


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", {"GET", "HEAD", "OPTIONS"}),
        ("/probe/upload", {"POST", "OPTIONS"}),
        ("/probe/unread", {"POST", "PUT", "OPTIONS"}),
    ],
)
def test_options(stack: Stack, path: str, allowed: set[str]):
    response = stack.request("OPTIONS", path)
    assert (response.status_code, response.content) == (200, b"")
    assert set(response.headers["Allow"].split(", ")) == allowed
    assert stack.get("/health/live").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_wrong_method(stack: Stack, method: str):
    response = stack.request(method, "/")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_unknown_path(stack: Stack):
    response = stack.get("/nothing-here")
    assert response.status_code == 404
    assert response.headers["X-Probe-Path"] == "/nothing-here"  # the application's own page


def test_no_content(stack: Stack):
    with Raw(stack) as client:
        for _ in range(3):
            client.request("GET /probe/empty HTTP/1.1")
            response = client.response()
            assert (response.status, response.body) == (204, b"")
            assert "Content-Length" not in response.headers
            assert "Transfer-Encoding" not in response.headers
        client.request("GET /health/live HTTP/1.1")
        assert client.response().status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('If-None-Match: "probe"', 304),
        ('If-None-Match: "other", W/"probe"', 304),
        ("If-None-Match: *", 304),
        ('If-None-Match: "other"', 200),
        ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", 304),
        ("If-Modified-Since: Mon, 13 Nov 2023 22:13:20 GMT", 200),
    ],
)
def test_conditional_request(stack: Stack, header: str, status: int):
    with Raw(stack) as client:
        for _ in range(2):
            client.request("GET /probe/tagged HTTP/1.1", header)
            response = client.response()
            assert (response.status, response.body) == (
                status,
                b"tagged\n" if status == 200 else b"",
            )
            assert response.headers["ETag"] == '"probe"'
        client.request("GET /health/live HTTP/1.1")
        assert client.response().status == 200


def test_range_requests_reach_the_application(stack: Stack):
    """Without range support, a view sends the whole body; with support, it sends the range."""
    whole = stack.get("/probe/bytes/100", headers={"Range": "bytes=0-9"})
    assert (whole.status_code, len(whole.content)) == (200, 100)
    full = stack.get("/probe/file").content
    part = stack.get("/probe/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, full[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(full)}"
    beyond = stack.get("/probe/file", headers={"Range": f"bytes={len(full)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/probe/redirect/path", "/probe/request"),
        ("/probe/redirect/address", "{url}/probe/request"),
        ("/probe/folder", "{url}/probe/folder/"),
    ],
)
@pytest.mark.parametrize(
    "host",
    [None, "shop.example", "shop.example:8443", pytest.param("[::1]:9000", id="ipv6")],
)
def test_redirect_uses_the_public_url(stack: Stack, path: str, location: str, host: str | None):
    """A redirect has the scheme, host and port of the client's request."""
    host = host or f"127.0.0.1:{stack.port}"
    response = stack.get(path, headers={"Host": host})
    assert response.status_code in (302, 308)
    assert response.headers["Location"] == location.format(url=f"http://{host}")


def test_two_cookies(stack: Stack):
    response = stack.get("/probe/cookies")
    assert response.raw.headers.getlist("Set-Cookie") == ["first=1; Path=/", "second=2; Path=/"]
