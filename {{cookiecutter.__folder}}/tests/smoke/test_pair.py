"""Ask the running pair, through the proxy's published port.

docker compose up --build --wait, then: pytest tests/smoke. BASE_URL says where, if not here:
"""

import json
import os
from email.message import Message
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


def get(path, **headers):
    try:
        answer = urlopen(Request(BASE_URL + path, headers=headers), timeout=10)
    except HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.headers, answer.read())


def test_front_page():
    answer = get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_health():
    for path in ("/health/live", "/health/ready"):
        assert json.loads(get(path).body) == {"status": "ok"}


def test_static_file_comes_from_the_proxy_compressed():
    answer = get("/static/style.css", **{"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = get("/static/style.css", **{"If-None-Match": get("/static/style.css").headers["ETag"]})
    assert again.status == 304


def test_every_answer_has_a_request_id():
    for path in ("/", "/static/style.css", "/nothing-here"):
        assert get(path).headers["X-Request-ID"]


def test_unknown_path_shows_no_traceback():
    answer = get("/nothing-here")
    assert answer.status == 404
    assert b"Traceback" not in answer.body
