"""Send requests to the running pair through the published port of the proxy.

Start it with "docker compose up --build --wait". BASE_URL is the URL of one that runs elsewhere.
"""

import json
import os
import re
import subprocess
from email.message import Message
from functools import cache
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@cache
def base_url():
    """Return BASE_URL, or the address at which Docker publishes the proxy's port."""
    if url := os.environ.get("BASE_URL"):
        return url
    address = subprocess.check_output(["docker", "compose", "port", "proxy", "8080"], text=True)
    return "http://" + address.strip().replace("0.0.0.0:", "127.0.0.1:").replace("[::]", "[::1]")


class Response(NamedTuple):
    status: int
    headers: Message
    body: bytes


def get(path, **headers):
    try:
        response = urlopen(Request(base_url() + path, headers=headers), timeout=10)
    except HTTPError as error:
        response = error
    with response:
        return Response(response.status, response.headers, response.read())


def test_front_page():
    response = get("/")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_health():
    for path in ("/health/live", "/health/ready"):
        assert json.loads(get(path).body) == {"status": "ok"}


def in_development():
    """Return whether the debugger's files are available. The proxy then serves src/."""
    debugger = get("/?__debugger__=yes&cmd=resource&f=style.css").headers["Content-Type"]
    return debugger.startswith("text/css")


def test_static_file_comes_from_the_proxy():
    response = get("/static/style.css", **{"Accept-Encoding": "gzip"})
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    # The image has a compressed copy.
    if not in_development():
        assert response.headers["Content-Encoding"] == "gzip"
    again = get("/static/style.css", **{"If-None-Match": get("/static/style.css").headers["ETag"]})
    assert again.status == 304


def test_front_page_links_files_that_are_cached():
    links = re.findall('href=".*?(/static/.*?)"', get("/").body.decode())
    assert links
    for link in links:
        response = get(link)
        assert response.status == 200
        assert in_development() or "immutable" in response.headers["Cache-Control"]


def test_every_response_has_a_request_id():
    for path in ("/", "/static/style.css", "/nothing-here"):
        assert get(path).headers["X-Request-ID"]


def test_unknown_path_shows_no_traceback():
    response = get("/nothing-here")
    assert response.status == 404
    assert b"Traceback" not in response.body
