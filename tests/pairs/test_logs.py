"""Logs: JSON from both containers with a common request id, and no forged lines."""

import json
from datetime import datetime
from uuid import uuid4

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import request

# Fields of a request in both logs.
SHARED = {"logger", "request_id", "time", "client", "method", "uri", "status", "bytes", "seconds"}
# Fields that only the application's log has.
OWN = {"level", "message", "route"}
# Fields for the application's time: each proxy logs one of them.
APPLICATIONS_TIME = {"upstream_seconds", "first_byte_microseconds"}


@pytest.mark.smoke
def test_the_proxy_logs_one_line_per_request(stack: Stack):
    began = datetime.now().astimezone()
    response = stack.get("/probe/request?a=b%20c")
    (entry,) = stack.logged("proxy", response.headers["X-Request-ID"])
    assert len(APPLICATIONS_TIME & set(entry)) == 1
    assert set(entry) - APPLICATIONS_TIME == SHARED
    assert (entry["method"], entry["status"]) == ("GET", 200)
    assert entry["uri"] == "/probe/request?a=b%20c"
    assert entry["client"] == response.json()["address"]
    assert entry["bytes"] == len(response.content)
    # One of the two proxies logs whole seconds.
    assert abs((datetime.fromisoformat(entry["time"]) - began).total_seconds()) < 5


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
    (name,) = APPLICATIONS_TIME & set(entry)
    upstream = float(entry[name]) / (1e6 if "microseconds" in name else 1)
    took = response.elapsed.total_seconds()
    # Times have a resolution of 1 ms, and a response is logged after its last bytes are sent.
    assert 0.29 < upstream < entry["seconds"] + 0.02 < took + 0.1


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
    headers = [b'User-Agent: "' + FORGED.encode(), b"Referer: \\" + FORGED.encode()]
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
                    assert set(entry) > SHARED
                    assert len(entry["request_id"]) >= 16
                    # Docker replaces invalid UTF-8; other log collectors do not.
                    assert entry["uri"].isascii()
