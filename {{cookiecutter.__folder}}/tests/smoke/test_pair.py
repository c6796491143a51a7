"""Send requests to the running pair through the published port of the proxy.

Start it with "docker compose up --build --wait". BASE_URL is its URL, if it is not this one:
"""

import json
import os
from email.message import Message
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")


class Response(NamedTuple):
    status: int
    headers: Message
    body: bytes


def get(path, **headers):
    try:
        response = urlopen(Request(BASE_URL + path, headers=headers), timeout=10)
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


def test_static_file_comes_from_the_proxy_compressed():
    response = get("/static/style.css", **{"Accept-Encoding": "gzip"})
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Cache-Control"] == "no-cache"
    again = get("/static/style.css", **{"If-None-Match": get("/static/style.css").headers["ETag"]})
    assert again.status == 304


def test_every_response_has_a_request_id():
    for path in ("/", "/static/style.css", "/nothing-here"):
        assert get(path).headers["X-Request-ID"]


def test_unknown_path_shows_no_traceback():
    response = get("/nothing-here")
    assert response.status == 404
    assert b"Traceback" not in response.body
