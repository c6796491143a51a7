"""The proxy serves static files."""

import gzip
import re
import shlex
from urllib.parse import quote

import pytest

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack
from tests.pairs.request_recorder import RequestRecorder
from tests.pairs.static_files import (
    BINARY,
    COMPRESSED,
    ENDING,
    HASHED,
    ODD,
    OWN_COPY,
    TYPED,
    TYPES,
    UNHASHED,
)
from tests.pairs.test_standalone import ask

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.mark.smoke
def test_static_file_comes_from_the_proxy(stack: Stack, project):
    recorder = RequestRecorder(stack)
    response = stack.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    assert [got for got in recorder.requests() if "/static/" in got["path"]] == []
    (source,) = project.glob("src/*/static/style.css")
    assert response.status_code == 200
    assert response.content == source.read_bytes()
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "Content-Encoding" not in response.headers


def test_static_file_is_compressed_beforehand(stack: Stack):
    plain = stack.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    small = stack.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.headers["Vary"] == "Accept-Encoding"
    assert int(small.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert small.content == plain.content


def test_unchanged_file_is_not_sent_again(stack: Stack):
    tag = stack.get("/static/style.css").headers["ETag"]
    response = stack.get("/static/style.css", headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")


def test_unchanged_file_by_date(stack: Stack):
    changed = stack.get("/static/style.css").headers["Last-Modified"]
    response = stack.get("/static/style.css", headers={"If-Modified-Since": changed})
    assert (response.status_code, response.content) == (304, b"")


def test_head(stack: Stack):
    got = stack.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    head = stack.request("HEAD", "/static/style.css", headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Cache-Control"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-9", 0, 10), ("100-", 100, None), ("-7", -7, None), ("5-100000", 5, None)],
)
def test_range(stack: Stack, asked: str, start: int, end: int | None):
    headers = {"Accept-Encoding": "identity"}
    full = stack.get("/static/style.css", headers=headers).content
    part = stack.get("/static/style.css", headers=headers | {"Range": f"bytes={asked}"})
    assert (part.status_code, part.content) == (206, full[start:end])
    first = start % len(full)
    last = first + len(part.content) - 1
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(full)}"


def test_two_ranges(stack: Stack):
    headers = {"Accept-Encoding": "identity", "Range": "bytes=0-3,10-13"}
    response = stack.get("/static/style.css", headers=headers)
    assert response.status_code == 206
    assert response.headers["Content-Type"].startswith("multipart/byteranges")
    assert response.content.lower().count(b"content-range: bytes") == 2


def test_range_beyond_the_end(stack: Stack):
    headers = {"Accept-Encoding": "identity", "Range": "bytes=100000-"}
    assert stack.get("/static/style.css", headers=headers).status_code == 416


def test_range_of_another_version_is_whole(stack: Stack):
    headers = {"Accept-Encoding": "identity", "Range": "bytes=0-3", "If-Range": '"old"'}
    assert stack.get("/static/style.css", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, br", None),
        ("", None),
        ("x-gzipped", None),
    ],
)
def test_every_variant_is_marked_in_the_template(stack: Stack, accepted: str, coding: str | None):
    response = stack.get("/static/style.css", headers={"Accept-Encoding": accepted})
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_types(stack: Stack, accepted: str):
    told = {}
    for file in TYPED:
        response = stack.get(f"/static/{file}", headers={"Accept-Encoding": accepted})
        assert response.status_code == 200, file
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        told[file] = response.headers.get("Content-Type")
    assert told == TYPED


def test_type_of_the_last_extension(stack: Stack):
    assert stack.get("/static/types/x.html.bak").headers["Content-Type"] == BINARY


def test_every_type_of_the_table_is_tested(project):
    """The table and the tests have the same types, so both proxies are equal."""
    (table,) = project.glob("proxy/**/mime.types")
    rows = [shlex.split(row.strip(" ;"), comments=True) for row in table.read_text().splitlines()]
    found = {row[0]: row[1:] for row in rows if row and "/" in row[0]}
    # httpd.conf has this extension, not httpd's table.
    found["application/gzip"] = sorted({"gz", *found["application/gzip"]})
    assert found == {content_type: each.split() for content_type, each in TYPES.items()}


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
@pytest.mark.parametrize("file", COMPRESSED)
def test_compressed_file_is_a_download(stack: Stack, project, file: str, accepted: str):
    """It has no Content-Encoding: otherwise, a browser would decompress it before saving."""
    (source,) = project.glob(f"src/*/static/{file}")
    response = stack.get(f"/static/{file}", headers={"Accept-Encoding": accepted})
    assert response.status_code == 200
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Type"] == "application/gzip"
    assert response.content == source.read_bytes()


def test_compressed_copy_by_its_own_name(stack: Stack):
    response = stack.get("/static/style.css.gz")
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Type"] == "application/gzip"
    assert gzip.decompress(response.content) == stack.get("/static/style.css").content


def test_own_compressed_copy_is_kept(stack: Stack):
    """The image's build does not replace a compressed copy that the user provides."""
    for url in (f"/static/{OWN_COPY}", *urls(stack, OWN_COPY).values()):
        response = stack.get(url, headers={"Accept-Encoding": "gzip"})
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        assert response.text == f"{OWN_COPY}.gz"
        response = stack.get(url, headers={"Accept-Encoding": "identity"})
        assert response.text == "plain"


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_odd_names(stack: Stack, accepted: str):
    told = {}
    for file in ODD:
        response = stack.get(f"/static/{quote(file)}", headers={"Accept-Encoding": accepted})
        encoding = response.headers.get("Content-Encoding", "identity")
        told[file] = response.status_code, encoding, response.text == file * 50
    assert told == dict.fromkeys(ODD, (200, accepted, True))


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_links(stack: Stack, accepted: str):
    headers = {"Accept-Encoding": accepted}
    response = stack.get("/static/link.css", headers=headers)
    assert response.status_code == 200
    assert response.content == stack.get("/static/style.css").content
    assert stack.get("/static/dangling.css", headers=headers).status_code in (403, 404)


CACHED = dict.fromkeys(["style.css", "deep/er/plain.txt", *UNHASHED], "no-cache") | dict.fromkeys(
    ["hashed.0a1b2c3d4e.css", "hashed-0a1b2c3d4e.js", *HASHED], IMMUTABLE
)


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_caching(stack: Stack, accepted: str):
    told = {}
    for file in CACHED:
        headers = {"Accept-Encoding": accepted}
        response = stack.get(f"/static/{file}", headers=headers)
        assert response.status_code == 200
        told[file] = response.headers["Cache-Control"]
        headers["If-None-Match"] = response.headers["ETag"]
        again = stack.get(f"/static/{file}", headers=headers)
        assert (again.status_code, again.headers["Cache-Control"]) == (304, told[file])
    assert told == CACHED


def urls(stack: Stack, *names: str) -> dict[str, str]:
    """Return the URL of each static file that url_for() returns to a view."""
    response = stack.get("/probe/static-urls", params={"name": names})
    return dict(zip(names, response.json(), strict=True))


def of_another_release(url: str) -> str:
    return re.sub(r"\.0a0[0-9a-f]{13}\.", ".0a0fedcba9876543.", url)


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_pages_link_files_that_are_cached(stack: Stack, accepted: str):
    """The URL with a hash and the plain one are the same file, except for its caching."""
    headers = {"Accept-Encoding": accepted}
    links = re.findall('href="(/static/.*?)"', stack.get("/").text)
    assert len(links) == 2
    for link in links:
        plain = stack.get(re.sub(r"\.0a0[0-9a-f]{13}\.", ".", link), headers=headers)
        response = stack.get(link, headers=headers)
        assert response.status_code == plain.status_code == 200
        assert response.content == plain.content
        assert response.headers.get("Content-Encoding", "identity") == accepted
        assert response.headers["Cache-Control"] == IMMUTABLE
        assert plain.headers["Cache-Control"] == "no-cache"
        for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Vary"):
            assert response.headers[name] == plain.headers[name], name
        tag = {"If-None-Match": response.headers["ETag"]}
        assert stack.get(link, headers=headers | tag).status_code == 304


def test_every_file_with_an_extension_has_a_url_that_is_cached(stack: Stack):
    """Others have a plain URL: the proxies find no hash in them."""
    told = {}
    for file, url in urls(stack, *TYPED, *ODD, *ENDING, *HASHED, *COMPRESSED).items():
        response = stack.get(url)
        assert response.status_code == 200, file
        assert response.content == stack.get(f"/static/{quote(file)}").content, file
        told[file] = url != f"/static/{quote(file)}", response.headers["Cache-Control"]
    plain = ("types/UPPER.CSS", "types/x.unheard-of", "types/css", "types/x.")
    assert told == dict.fromkeys(told, (True, IMMUTABLE)) | dict.fromkeys(
        plain, (False, "no-cache")
    )


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_hash_of_another_release(stack: Stack, accepted: str):
    """During a release, a page can come from one version and its files from the other.

    The file is that of this version, so it must not be cached under the other's name.
    """
    headers = {"Accept-Encoding": accepted}
    for name, url in urls(stack, "style.css", "deep/er/plain.txt", *COMPRESSED).items():
        plain = stack.get(f"/static/{name}", headers=headers)
        response = stack.get(of_another_release(url), headers=headers)
        assert of_another_release(url) != url
        assert (response.status_code, response.content) == (200, plain.content)
        assert response.headers["Cache-Control"] == "no-cache"
        for header in ("Content-Encoding", "Content-Type", "Vary", "ETag"):
            assert response.headers.get(header) == plain.headers.get(header), header
        tag = {"If-None-Match": response.headers["ETag"]}
        again = stack.get(of_another_release(url), headers=headers | tag)
        assert (again.status_code, again.headers["Cache-Control"]) == (304, "no-cache")


def test_application_serves_its_urls_without_a_proxy(stack: Stack):
    (url,) = urls(stack, "style.css").values()
    for path in (url, of_another_release(url), "/static/style.css"):
        reply = ask(stack, target=path)
        assert (reply.status, reply.body) == (200, stack.get("/static/style.css").content)
        assert reply.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "file",
    [
        "nothing.css",
        "hashed.0123456789.css",
        "nothing.0a0123456789abcd.css",
        "style.css/x.0a0123456789abcd.css",
        "style.css/",
        "deep/nothing",
        "deep.0a0123456789abcd.er",
    ],
)
def test_missing_file(stack: Stack, file: str):
    """The proxy itself responds with 404, and does not mark it as immutable."""
    response = stack.get(f"/static/{file}")
    assert response.status_code == 404
    assert "X-Probe-Path" not in response.headers
    assert "immutable" not in response.headers.get("Cache-Control", "")
    for name in ("X-Request-ID", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"):
        assert response.headers[name]


@pytest.mark.parametrize("folder", ["", "deep/", "deep", "deep/er/"])
def test_no_listing(stack: Stack, folder: str):
    response = stack.get(f"/static/{folder}")
    assert response.status_code in (403, 404)
    assert "plain" not in response.text
    assert "icon" not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_for_reading(stack: Stack, method: str):
    assert stack.request(method, "/static/style.css", data=b"x").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/../probe.py",
        "/static/../wsgi.py",
        "/static/%2e%2e/wsgi.py",
        "/static/..%2fwsgi.py",
        "/static/%2e%2e%2fwsgi.py",
        "/static/%252e%252e%252fwsgi.py",
        "/static/..%5cwsgi.py",
        "/static/..%00/wsgi.py",
        "/static/..;/wsgi.py",
        "/static/./../../etc/passwd",
        "/static/../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/static/%c0%ae%c0%ae/wsgi.py",
        "/static//etc/passwd",
        "/static../etc/passwd",
        "/static../health.txt",
        "/static%2f..%2fwsgi.py",
        "/static/.hidden",
        "/static/%2ehidden",
        "/static/deep/.hidden",
        "/health/proxy/../../etc/passwd",
        "/health/proxy/x",
    ],
)
def test_nothing_else_is_served(stack: Stack, path: str):
    with Raw(stack) as client:
        client.request(f"GET {path} HTTP/1.1", "Connection: close")
        response = client.response()
    assert response.status in (400, 403, 404)
    for told in (b"root:", b"create_app", b"hidden\n", b"ok\n"):
        assert told not in response.body
