"""COMPRESS=on: both proxies compress the same responses of the application, and no others."""

import gzip
from collections.abc import Iterator
from uuid import uuid4

import pytest
import requests

from tests.lib.raw_http import Reply, exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import configured, request

pytestmark = pytest.mark.destructive

COMPRESSED = [
    "text/html", "text/css", "text/csv", "text/javascript", "text/markdown", "text/plain",
    "text/xml", "application/atom+xml", "application/geo+json", "application/javascript",
    "application/json", "application/ld+json", "application/manifest+json",
    "application/problem+json", "application/rss+xml", "application/xhtml+xml", "application/xml",
    "image/svg+xml", "text/html; charset=utf-8", "application/json;charset=utf-8", "TEXT/Plain",
]  # fmt: skip
OTHERS = [
    "text/event-stream", "application/octet-stream", "application/x-ndjson", "image/png",
    "image/jpeg", "application/gzip", "application/zip", "application/pdf", "font/woff2",
    "video/mp4", "application/wasm", "text/plainer", "x/text/html", "multipart/byteranges",
    "application/xjson", "",
]  # fmt: skip


def ask(stack: Stack, size: int = 5000, method: str = "GET", headers=None, **query):
    """Return the response to a client that accepts gzip."""
    headers = {"Accept-Encoding": "gzip"} | (headers or {})
    query = {name.replace("_", "-"): value for name, value in query.items()}
    query.setdefault("Content-Type", "text/html")
    return stack.request(method, f"/probe/text/{size}", headers=headers, params=query)


def assert_plain(response: requests.Response, size: int = 5000) -> None:
    """Check that a response arrived as the application sent it."""
    assert response.content == b"a" * size
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Length"] == str(size)
    assert response.headers["ETag"] == '"probe"'


def assert_compressed(response: requests.Response, size: int = 5000) -> None:
    assert response.content == b"a" * size
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"] == 'W/"probe"'
    assert int(response.headers.get("Content-Length", 0)) < size


def test_off_by_default(stack: Stack):
    """This test runs first."""
    response = ask(stack)
    assert_plain(response)
    assert "Vary" not in response.headers


@pytest.fixture(scope="module")
def compressing(stack: Stack) -> Iterator[Stack]:
    with configured(stack, COMPRESS="on"):
        stack.wait_for_upstream()
        yield stack


@pytest.mark.parametrize("content_type", COMPRESSED)
def test_text_is_compressed(compressing: Stack, content_type: str):
    response = ask(compressing, Content_Type=content_type)
    assert_compressed(response)
    # mod_wsgi's httpd writes types in lower case; case does not matter (RFC 9110, 8.3.1).
    assert response.headers["Content-Type"].lower() == content_type.lower()


@pytest.mark.parametrize("content_type", OTHERS)
def test_another_type_is_not_compressed(compressing: Stack, content_type: str):
    assert_plain(ask(compressing, Content_Type=content_type))


def test_size(compressing: Stack):
    """A compressed response is not smaller if it is short, and a packet in any case."""
    assert_plain(ask(compressing, 1023), 1023)
    assert_compressed(ask(compressing, 1024), 1024)
    assert_compressed(ask(compressing, 1_000_000), 1_000_000)


def test_unknown_length(compressing: Stack):
    assert_compressed(ask(compressing, stream="1"))
    # Even if it is short.
    assert ask(compressing, 10, stream="1").headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("status", [200, 201, 400, 403, 404, 410, 500, 503])
def test_status(compressing: Stack, status: int):
    """By nginx, responses with three statuses are compressed. httpd is configured likewise."""
    response = ask(compressing, status=status)
    if status in (200, 403, 404):
        assert_compressed(response)
    else:
        assert_plain(response)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, zstd, gzip", True),
        ("deflate;q=1, gzip;q=0.5", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("br, gzip; q=0.0", False),
        ("identity", False),
        ("br", False),
        ("x-gzipped", False),
        ("", False),
    ],
)
def test_accepted_coding(compressing: Stack, accepted: str, compressed: bool):
    response = ask(compressing, headers={"Accept-Encoding": accepted})
    (assert_compressed if compressed else assert_plain)(response)
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip", "deflate"])
def test_compressed_response_of_the_application(compressing: Stack, coding: str):
    (reply,) = raw(
        compressing, f"/probe/text/5000?Content-Type=text/html&Content-Encoding={coding}"
    )
    assert reply.body == b"a" * 5000
    assert reply.headers.get_all("Content-Encoding") == [coding]
    assert reply.headers["ETag"] == '"probe"'


def test_view_that_excludes_its_response(compressing: Stack):
    """It does so on both proxies by naming a coding that changes nothing."""
    response = ask(compressing, Content_Encoding="identity")
    assert (response.content, response.headers["ETag"]) == (b"a" * 5000, '"probe"')
    assert response.headers["Content-Length"] == "5000"


def test_etag_of_the_application_is_kept(compressing: Stack):
    """In httpd, those of compressed responses have this suffix for a moment."""
    response = compressing.get("/probe/headers/200", params={"ETag": '"probe-gzip"'})
    assert response.headers["ETag"] == '"probe-gzip"'


def raw(stack: Stack, path: str, *headers: str, protocol: str = "HTTP/1.1") -> list[Reply]:
    headers = (*headers, "Accept-Encoding: gzip", "Connection: close")
    return exchange(stack.port, request(*headers, line=f"GET {path} {protocol}")).replies


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("header", ["X-A: b", "Via: 1.1 balancer", "Authorization: Bearer x"])
def test_clients_of_load_balancers(compressing: Stack, protocol: str, header: str):
    (reply,) = raw(
        compressing, "/probe/text/5000?Content-Type=text/html", header, protocol=protocol
    )
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.body) == b"a" * 5000


@pytest.mark.parametrize("size", [1000, 5000])
def test_head(compressing: Stack, size: int):
    """It has the headers of the response to GET (RFC 9110, 9.3.2), but no other length (8.6)."""
    get, head = (ask(compressing, size, method=method) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Encoding", "Content-Type", "ETag", "Vary"):
        assert head.headers.get(name) == get.headers.get(name), name
    if "Content-Length" in head.headers:
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize("tag", ['W/"probe"', '"probe"', '"other", W/"probe"'])
def test_unchanged_response_is_not_sent_again(compressing: Stack, tag: str):
    response = ask(compressing, headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"].removeprefix("W/") == '"probe"'
    assert "Content-Encoding" not in response.headers


def test_range(compressing: Stack):
    response = ask(compressing, headers={"Range": "bytes=1000-2999"})
    assert (response.status_code, response.content) == (206, b"a" * 2000)
    assert response.headers["Content-Range"] == "bytes 1000-2999/5000"
    assert "Content-Encoding" not in response.headers


def test_compressed_response_has_no_ranges(compressing: Stack):
    """A range would be one of the plain response."""
    assert ask(compressing).headers.get("Accept-Ranges", "none") == "none"
    assert ask(compressing, 1000).headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("value", ["no-transform", "private, no-transform"])
def test_no_transform(compressing: Stack, value: str):
    """RFC 9111, 5.2.2.6."""
    assert_plain(ask(compressing, Cache_Control=value))


def test_other_vary_headers_are_kept(compressing: Stack):
    for value in ("Cookie", "Accept-Encoding", "Accept-Encoding, Cookie"):
        vary = ask(compressing, Vary=value).headers["Vary"].replace(" ", "").split(",")
        assert set(vary) == {"Accept-Encoding", *value.split(", ")}


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/html"])
def test_parts_of_a_stream_arrive_one_by_one(compressing: Stack, content_type: str):
    """Each part is created only after the previous one has arrived."""
    name = uuid4().hex
    with requests.get(
        f"{compressing.url}/probe/stream/{name}",
        params={"type": content_type},
        headers={"Accept-Encoding": "gzip"},
        stream=True,
        timeout=15,
    ) as response:
        coding = response.headers.get("Content-Encoding")
        assert coding == (None if content_type == "text/event-stream" else "gzip")
        text = b""
        for part in response.iter_content(None):
            text += part
            compressing.request("PUT", f"/probe/marks/{name}")
    assert text == b"".join(b"data: %d\n\n" % number for number in range(5))


def test_the_proxys_own_responses_are_as_before(compressing: Stack):
    for path in ("/static/nothing", "/health/proxy", "/static/types/x.ics"):
        response = compressing.get(path, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in response.headers, path
    response = compressing.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Length" in response.headers


def test_the_log_has_the_bytes_that_were_sent(compressing: Stack):
    response = ask(compressing)
    (entry,) = compressing.logged("proxy", response.headers["X-Request-ID"])
    assert 20 < entry["bytes"] < 200
