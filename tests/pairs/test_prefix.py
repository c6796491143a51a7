"""The service below a path: with the prefix of a proxy in front, or with its own."""

import re
from collections.abc import Iterator

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import configured, gateway, request, told

pytestmark = pytest.mark.destructive

CLIENT = "X-Forwarded-For: 203.0.113.9"


@pytest.fixture(scope="module")
def balanced(stack: Stack) -> Iterator[Stack]:
    """Run the stack behind one proxy that sets the prefix, but not the request id."""
    with configured(stack, TRUSTED_PROXY_COUNT="1", TRUST_FORWARDED_PREFIX="on"):
        yield stack


@pytest.fixture(scope="module")
def prefixed(stack: Stack) -> Iterator[Stack]:
    """Run the stack with its own prefix, behind a balancer that the test's client bypasses."""
    with configured(
        stack,
        URL_PREFIX="/some/blog",
        TRUSTED_PROXY_COUNT="1",
        TRUSTED_NETWORKS="192.0.2.0/24 2001:db8::/32",
        TRUST_FORWARDED_PREFIX="on",
        TRUST_REQUEST_ID="on",
    ):
        yield stack


def location(stack: Stack, path: str, *headers: str) -> str:
    """Return the redirect's Location for a path."""
    data = request(*headers, "Connection: close", line=f"GET {path} HTTP/1.1")
    (reply,) = exchange(stack.port, data).replies
    return reply.headers["Location"]


@pytest.mark.parametrize(
    ("value", "root"),
    [
        ("/blog", "/blog/"),
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f/"),
        ("/blog/", "/blog/"),
        # Values that are not valid prefixes are ignored.
        ("", "/"),
        ("/", "/"),
        ("blog", "/"),
        ("//evil.example", "/"),
        ("/a//b", "/"),
        ("https://evil.example", "/"),
        ("/blog?a", "/"),
        ("/blog, /other", "/"),
        ("/%62log", "/"),
        ("/a" * 9, "/"),
        ("/" + "a" * 8000 + "!", "/"),
    ],
    ids=lambda value: value[:20],
)
def test_prefix_of_the_proxy_in_front(balanced: Stack, value: str, root: str):
    seen, _ = told(balanced, CLIENT, f"X-Forwarded-Prefix: {value}")
    assert seen["root"] == f"http://localhost{root}"
    expected = [root.rstrip("/")] if root != "/" else []
    assert [v for name, v in seen["headers"] if name == "X-Forwarded-Prefix"] == expected


def test_redirects_and_cookies_carry_the_prefix(balanced: Stack):
    prefix = CLIENT, "X-Forwarded-Prefix: /blog"
    assert location(balanced, "/probe/redirect/path", *prefix) == "/blog/probe/request"
    address = location(balanced, "/probe/redirect/address", *prefix)
    assert address == "http://localhost/blog/probe/request"
    assert location(balanced, "/probe/folder", *prefix) == "http://localhost/blog/probe/folder/"


def test_a_prefix_is_not_trusted_without_an_address(balanced: Stack):
    assert told(balanced, "X-Forwarded-Prefix: /evil")[0]["root"] == "http://localhost/"


def test_request_ids_are_not_trusted_by_default(balanced: Stack):
    """Most balancers do not set them, so they would come from the client."""
    names = ("traceparent", "tracestate", "baggage", "X-Request-ID")
    seen, request_id = told(balanced, CLIENT, *(f"{name}: evil" for name in names))
    assert seen["address"] == "203.0.113.9"
    assert request_id != "evil"
    assert "evil" not in str(seen["headers"])


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_strict_transport_security_for_https_clients(balanced: Stack, scheme: str):
    """The header is also in the proxy's own responses."""
    for path in ("/probe/request", "/static/style.css", "/static/nothing"):
        data = request(
            CLIENT,
            f"X-Forwarded-Proto: {scheme}",
            "Connection: close",
            line=f"GET {path} HTTP/1.1",
        )
        (reply,) = exchange(balanced.port, data).replies
        expected = ["max-age=31536000"] if scheme == "https" else None
        assert reply.headers.get_all("Strict-Transport-Security") == expected, path


@pytest.mark.parametrize("prefix", ["/some/blog", ""])
@pytest.mark.parametrize("path", ["/probe/request", "/probe/request?a=b"])
def test_url_prefix(prefixed: Stack, prefix: str, path: str):
    """It works whether or not a proxy in front removes it from the path."""
    seen, _ = told(prefixed, path=prefix + path)
    assert seen["root"] == "http://localhost/some/blog/"


@pytest.mark.parametrize("path", ["/some/blog", "/some/blog/", "/some/blog?a=b", "/", "/?a=b"])
def test_front_page_below_url_prefix(prefixed: Stack, path: str):
    data = request("Connection: close", line=f"GET {path} HTTP/1.1")
    (reply,) = exchange(prefixed.port, data).replies
    assert (reply.status, reply.headers["X-Probe-Path"]) == (200, "/")
    links = re.findall('href="(/some/blog/static/.*?)"', reply.body.decode())
    assert len(links) == 2
    for link in links:
        assert "immutable" in prefixed.get(link).headers["Cache-Control"]


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/some/blog/a%2Fb//c/../d", "/a/b//c/../d"),
        ("/some/blogs", "/some/blogs"),
        ("/some/blog/some/blog/", "/some/blog/"),
    ],
)
def test_the_rest_of_the_path_is_unchanged(prefixed: Stack, path: str, seen: str):
    data = request("Connection: close", line=f"GET {path} HTTP/1.1")
    (reply,) = exchange(prefixed.port, data).replies
    assert reply.headers["X-Probe-Path"] == seen


@pytest.mark.parametrize("prefix", ["/some/blog", ""])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("style.0a0fedcba9876543.css", "text/css; charset=utf-8"),
        ("100%25.txt", "text/plain; charset=utf-8"),
        ("what%3F.txt", "text/plain; charset=utf-8"),
        ("download.tar.gz", "application/gzip"),
    ],
)
def test_static_files_below_url_prefix(
    prefixed: Stack, prefix: str, encoding: str, file: str, content_type: str
):
    """The proxy serves them; the requests do not reach the application."""
    response = prefixed.get(f"{prefix}/static/{file}", headers={"Accept-Encoding": encoding})
    assert response.status_code == 200
    assert "X-Probe-Path" not in response.headers
    assert response.headers["Content-Type"] == content_type
    expected = "identity" if file.endswith(".gz") else encoding
    assert response.headers.get("Content-Encoding", "identity") == expected


# nginx matches the result of its own check and the client's text as one string.
@pytest.mark.parametrize(
    "address", ["203.0.113.9", "1203.0.113.9", "1, 203.0.113.9", "on203.0.113.9"]
)
def test_clients_that_bypass_the_balancer_are_not_trusted(prefixed: Stack, address: str):
    """The peer is not in TRUSTED_NETWORKS."""
    seen, request_id = told(
        prefixed,
        f"X-Forwarded-For: {address}",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /evil",
        "X-Request-ID: evil",
        "traceparent: evil",
    )
    assert (seen["address"], seen["root"]) == (
        gateway(prefixed),
        "http://localhost/some/blog/",
    )
    assert request_id != "evil"
    assert "evil" not in str(seen["headers"])
