"""Logs: JSON from both containers with a common request id, and no forged lines."""

import json
import re
from datetime import datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import request

# Fields of every record, and of a request in both logs.
RECORD = {"time", "level", "logger", "message", "request_id"}
REQUEST = {
    *RECORD,
    *("client", "method", "host", "uri", "protocol", "status", "bytes", "duration_us"),
    *("user_agent", "referrer"),
}
# Fields that only one of the two logs has.
PROXYS = REQUEST | {"upstream_us"}
APPLICATIONS = REQUEST | {"route"}
NUMBERS = ("status", "bytes", "duration_us", "upstream_us")
# RFC 3339 with milliseconds or microseconds, in UTC.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d{3}|\d{6})\+00:00")


@pytest.mark.smoke
def test_the_proxy_logs_one_line_per_request(stack: Stack):
    began = datetime.now().astimezone()
    client = {"User-Agent": 'A "quoted" \\ name', "Referer": "http://a.example/b?c=d"}
    response = stack.get("/probe/request?a=b%20c", headers=client)
    (entry,) = stack.logged("proxy", response.headers["X-Request-ID"])
    assert set(entry) == PROXYS
    assert (entry["method"], entry["status"]) == ("GET", 200)
    assert entry["uri"] == "/probe/request?a=b%20c"
    assert (entry["host"], entry["protocol"]) == (urlsplit(stack.url).netloc, "HTTP/1.1")
    assert (entry["user_agent"], entry["referrer"]) == tuple(client.values())
    assert (entry["level"], entry["logger"]) == ("INFO", "proxy.access")
    assert entry["message"] == "GET /probe/request?a=b%20c 200"
    assert entry["client"] == response.json()["address"]
    assert entry["bytes"] == len(response.content)
    assert all(type(entry[name]) is int for name in NUMBERS)
    assert TIME.fullmatch(entry["time"])
    assert abs((datetime.fromisoformat(entry["time"]) - began).total_seconds()) < 5


@pytest.mark.parametrize("service", ["app", "proxy"])
def test_the_first_lines_are_json(stack: Stack, service: str):
    """A log collector can parse what the container prints while it starts."""
    for line in stack.first_logs[service].splitlines():
        entry = json.loads(line)
        assert set(entry) >= RECORD
        assert datetime.fromisoformat(entry["time"]).tzinfo is not None


def test_the_application_logs_with_the_same_id(stack: Stack):
    """A failed request is logged with the proxy's id; a successful one is not logged."""
    usual, failed = (stack.get(path).headers["X-Request-ID"] for path in ("/", "/probe/fail"))
    (entry,) = stack.logged("app", failed, last="exc_info")
    assert "the probe fails" in entry["exc_info"]
    assert entry["level"] == "ERROR"
    log = stack.container("app").logs(tail=200).decode()
    assert usual not in log
    (entry,) = stack.logged("proxy", failed)
    assert entry["status"] == 500


def test_logged_times_are_correct(stack: Stack):
    response = stack.get("/probe/work/0.3/slowly")
    (entry,) = stack.logged("proxy", response.headers["X-Request-ID"])
    took = response.elapsed.total_seconds() * 1e6
    # Times have a resolution of 1 ms, and a response is logged after its last bytes are sent.
    assert 290_000 < entry["upstream_us"] < entry["duration_us"] + 20_000 < took + 100_000


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/%22%5C%0A%C3%A9", 404), ("/static/none.css", 404), ("/probe/fail", 500)],
    ids=["page", "odd-path", "static", "failure"],
)
def test_the_proxys_line_is_json(stack: Stack, path: str, status: int):
    response = stack.get(path)
    assert response.status_code == status
    (entry,) = stack.logged("proxy", response.headers["X-Request-ID"])
    assert (entry["uri"], entry["status"]) == (path, status)
    assert (entry["upstream_us"] is None) == path.startswith("/static/")


# --- Hostile input ---

FORGED = '{"logger": "forged"}'
HOSTILE = [
    b'GET /TOKEN"\\{}?"\\ HTTP/1.1',
    b'GET /TOKEN"' + FORGED.replace(" ", "").encode() + b" HTTP/1.1",
    b"GET /TOKEN\xff\xe2\x82?\xff HTTP/1.1",
    b"GET /TOKEN?\xc3\xa9\xff HTTP/1.1",
    b"GET /TOKEN\x01 HTTP/1.1",
    b"GET /TOKEN\x7f HTTP/1.1",
    b"GET /TOKEN HTTP/1.1\x1b",
    b"GET http://localhost/TOKEN\xff HTTP/1.1",
    b"GET /TOKEN" + b"u" * 20_000 + b" HTTP/1.1",
    b"TOKEN\xff / HTTP/1.1",
    b'G"\\TOKEN / HTTP/1.1',
    b"\x16\x03\x01\xff\xfe",
    b"OPTIONS * HTTP/1.1",
    *(
        f"GET /TOKEN{line_break}{FORGED.replace(' ', '%20')} HTTP/1.1".encode()
        for line_break in ("%0a", "%0d%0a", "%22", "%c2%85", "%e2%80%a8", "%ff", "%00")
    ),
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: ascii(line[:40])[2:-1])
def test_log_lines_cannot_be_forged(stack: Stack, line: bytes):
    """No part of a request becomes a log line of its own, or breaks the JSON of another line."""
    token = uuid4().hex.upper()
    headers = [
        b'User-Agent: "' + FORGED.encode() + b"\xff\xe2",
        b"Referer: \\" + FORGED.encode() + b"\xff",
    ]
    line = line.replace(b"TOKEN", token.encode())
    exchange(stack.port, request(*headers, "Connection: close", line=line), wait=1)
    end = stack.get("/probe/fail").headers["X-Request-ID"]
    for service in ("app", "proxy"):
        stack.wait_for_log(service, f'"{end}"')
        for logged in stack.container(service).logs(tail=20).decode().splitlines():
            if "forged" in logged or logged.startswith("{"):
                entry = json.loads(logged)
                assert entry["logger"] != "forged"
                if entry["logger"] == "proxy.access":
                    assert set(entry) == PROXYS
                    # A client of another test that left got no response, and no id.
                    left = token not in logged and entry["bytes"] == 0
                    assert len(entry["request_id"]) >= 16 or left
                    # Docker replaces invalid UTF-8; other log collectors do not.
                    assert all(entry[name].isascii() for name in ("uri", "user_agent", "referrer"))
