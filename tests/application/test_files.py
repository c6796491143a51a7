"""A view may respond with files."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from urllib.parse import unquote
from uuid import uuid4

import pytest
import requests

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack, wait_until

from .samples import HOLES, LINES, SIZES, lines
from .together import AT_A_TIME, together

WAYS = ["path", "directory", "object", "memory", "attachment", "wrapper", "generator", "context"]


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def _closed(stack: Stack) -> Iterator[None]:
    """Check after each test that no process has a sample open."""
    yield
    wait_until(lambda: stack.get("/files/open").json() == [], timeout=5)


def assert_sent(stack: Stack, path: str, body: bytes, times: int = AT_A_TIME) -> None:
    for response in together(stack, [path] * times):
        assert response.status_code == 200, response.text[:2000]
        assert len(response.content) == len(body)
        assert sha256(response.content) == sha256(body)


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_send(stack: Stack, way: str):
    """Files by send_file, send_from_directory, file objects, BytesIO, wrap_file and generators."""
    assert_sent(stack, f"/files/send/{way}/1m", lines(SIZES["1m"]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["empty", "byte", "page"])
def test_small_files(stack: Stack, way: str, name: str):
    """Files of 0 bytes, 1 byte and 4 KB."""
    assert_sent(stack, f"/files/send/{way}/{name}", lines(SIZES[name]), 2)


def test_request_context(stack: Stack):
    """The request's context in a streamed response."""
    assert_sent(stack, "/files/send/context/1m?last=%C3%BC", lines(SIZES["1m"]) + "ü".encode())


def test_partly_read_file(stack: Stack):
    """A file that the view has partly read."""
    assert_sent(stack, "/files/send/rest/1m", lines(SIZES["1m"]).partition(b"\n")[2])


def test_file_objects_that_convert(stack: Stack):
    """File objects that read other bytes than the file has, such as gzip's."""
    assert_sent(stack, "/files/send/unpacked/1m", lines(SIZES["1m"]))


def test_attachment_name(stack: Stack):
    """Attachments with non-ASCII names."""
    for response in together(stack, ["/files/send/attachment/page"] * 4):
        kind, _, name = response.headers["Content-Disposition"].partition(";")
        assert kind == "attachment"
        assert unquote(name.partition("filename*=UTF-8''")[2]) == "Übersicht „1“ 日本.csv"


def test_head(stack: Stack):
    """HEAD requests for files."""
    for response in together(stack, ["/files/send/path/1m"] * AT_A_TIME, "HEAD"):
        assert response.status_code == 200
        assert response.headers["Content-Length"] == str(SIZES["1m"])


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=100-299999", 206, 100, 299_999),
        ("bytes=500000-", 206, 500_000, 999_999),
        ("bytes=-10", 206, 999_990, 999_999),
        ("bytes=999990-2000000", 206, 999_990, 999_999),
        ("bytes=1000000-", 416, 0, 0),
        # Werkzeug supports only a single range of bytes.
        ("bytes=0-1,5-6", 416, 0, 0),
        ("lines=1-2", 416, 0, 0),
    ],
)
def test_ranges(stack: Stack, wanted: str, status: int, first: int, last: int):
    """Range requests."""
    whole = lines(SIZES["1m"])
    # A generator's response has no ranges: neither the server nor the proxy adds them.
    (response,) = together(stack, ["/files/send/generator/page"], headers={"Range": wanted})
    assert (response.status_code, response.content) == (200, whole[:4096])
    paths = [f"/files/send/{way}/1m" for way in ("path", "directory", "path", "directory")]
    for response in together(stack, paths, headers={"Range": wanted}):
        assert response.status_code == status
        if status == 416:
            assert response.headers["Content-Range"] == "bytes */1000000"
            continue
        assert sha256(response.content) == sha256(whole[first : last + 1])
        if status == 206:
            assert response.headers["Content-Range"] == f"bytes {first}-{last}/1000000"


def test_conditional_requests(stack: Stack):
    """Conditional requests: ETag, Last-Modified and If-Range."""
    path = "/files/send/path/1m"
    known = stack.get(path)
    etag, modified = known.headers["ETag"], known.headers["Last-Modified"]
    before = formatdate(0, usegmt=True)
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f'"other", {etag}'}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": before}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Range": etag, "Range": "bytes=0-9"}, 206),
        ({"If-Range": '"other"', "Range": "bytes=0-9"}, 200),
        ({"If-Range": modified, "Range": "bytes=0-9"}, 206),
        ({"If-Range": before, "Range": "bytes=0-9"}, 200),
    ):
        for response in together(stack, [path] * 2, headers=headers):
            assert response.status_code == status, headers
            length = {200: 1_000_000, 206: 10, 304: 0}.get(status)
            assert length is None or len(response.content) == length


@pytest.mark.parametrize("way", ["path", "wrapper", "generator"])
def test_files_of_short_lines(stack: Stack, way: str):
    """Files of 20 MB of short lines."""
    begun = time.monotonic()
    assert_sent(stack, f"/files/send/{way}/20m", lines(SIZES["20m"]), 4)
    assert time.monotonic() - begun < 8


def download(stack: Stack, path: str) -> tuple[int, int]:
    """Return the status and the number of received bytes."""
    with requests.get(stack.url + path, stream=True, timeout=30) as response:
        return response.status_code, sum(map(len, response.iter_content(1 << 20)))


@pytest.mark.parametrize("name", HOLES)
def test_large_files(stack: Stack, name: str):
    """Files of 1 GB, larger than the memory, without line ends."""
    before = stack.request("DELETE", "/files/peak").json()["bytes"]
    assert download(stack, f"/files/send/path/{name}") == (200, HOLES[name])
    after = stack.get("/files/peak").json()["bytes"]
    assert after - before < 30 * 2**20
    assert stack.container("app").attrs["State"]["Status"] == "running"


def test_slow_readers(stack: Stack):
    """Slow clients, while other clients are served."""
    whole = lines(LINES)
    clients = [Raw(stack) for _ in range(3)]
    try:
        for client in clients:
            client.request("GET /files/send/path/20m HTTP/1.1")
        begun = [(client.begin(), client) for client in clients]
        for response, _ in begun:
            assert response.read(1000) == whole[:1000]
        for response in together(stack, ["/files/send/path/page"] * AT_A_TIME):
            assert response.content == lines(SIZES["page"])
        with ThreadPoolExecutor() as pool:
            for rest in pool.map(lambda each: each[0].read(), begun):
                assert sha256(whole[:1000] + rest) == sha256(whole)
    finally:
        for client in clients:
            client.socket.close()


def leave(stack: Stack, path: str) -> None:
    """Read the first bytes of a response, and close the connection."""
    with Raw(stack) as client:
        client.request(f"GET {path} HTTP/1.1")
        response = client.begin()
        assert response.status == 200
        assert len(response.read(1000)) == 1000


@pytest.mark.parametrize("way", ["path", "wrapper", "generator"])
def test_readers_that_leave(stack: Stack, way: str):
    """Clients that disconnect in the middle of a response: files are closed."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(lambda _: leave(stack, f"/files/send/{way}/20m"), range(AT_A_TIME)):
            pass


@pytest.mark.parametrize("how", ["whole", "head", "left"])
def test_close(stack: Stack, how: str):
    """close() of a streamed body, called once."""
    marks = [f"closed-{uuid4().hex}" for _ in range(AT_A_TIME)]
    paths = [f"/files/counted/{mark}/20m" for mark in marks]
    if how == "left":
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for _ in pool.map(lambda path: leave(stack, path), paths):
                pass
        wait_until(lambda: stack.get("/files/open").json() == [], timeout=5)
    else:
        paths = [path.replace("20m", "page") for path in paths]
        together(stack, paths, {"whole": "GET", "head": "HEAD"}[how])
    for mark in marks:
        closed = wait_until(
            lambda path=f"/files/counted/{mark}": stack.request("DELETE", path).json()["closed"],
            timeout=5,
        )
        assert closed == 1
    again = together(stack, [f"/files/counted/{mark}" for mark in marks], "DELETE")
    assert [response.json() for response in again] == [{"closed": 0}] * len(marks)
