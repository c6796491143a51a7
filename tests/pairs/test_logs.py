"""Logs: JSON on both sides, joined by the request's id, and nothing in them that is forged."""

import json
from datetime import datetime
from uuid import uuid4

import pytest

from tests.harness.stack import Stack
from tests.harness.wire import exchange
from tests.pairs.witness import request

both = pytest.mark.parametrize("service", ["app", "proxy"])

# Alike for every server; the proxies differ in what they know of the application's time.
FIELDS = {
    "app": {"level", "logger", "message", "request_id", "time", "client", "seconds", "status"}
    | {"method", "path"},
    "proxy": {"logger", "request_id", "time", "client", "seconds", "status", "method", "uri"}
    | {"bytes"},
}
APPLICATIONS_TIME = {"upstream_seconds", "first_byte_microseconds"}


@pytest.mark.smoke
def test_one_id_joins_answer_and_logs(stack: Stack):
    began = datetime.now().astimezone()
    answer = stack.get("/probe/request?a=b%20c")
    request_id = answer.headers["X-Request-ID"]
    (app,), (proxy,) = stack.logged("app", request_id), stack.logged("proxy", request_id)
    assert set(app) == FIELDS["app"]
    assert len(APPLICATIONS_TIME & set(proxy)) == 1
    assert set(proxy) - APPLICATIONS_TIME == FIELDS["proxy"]
    assert (app["path"], proxy["uri"]) == ("/probe/request", "/probe/request?a=b%20c")
    for entry in (app, proxy):
        assert entry["request_id"] == request_id
        assert (entry["method"], entry["status"]) == ("GET", 200)
        assert entry["client"] == answer.json()["address"]
        # To the second, in one of the two.
        assert abs((datetime.fromisoformat(entry["time"]) - began).total_seconds()) < 5
    assert proxy["bytes"] == len(answer.content)


def test_times_are_those_that_it_took(stack: Stack):
    answer = stack.get("/probe/work/0.3/slowly")
    request_id = answer.headers["X-Request-ID"]
    (app,), (proxy,) = stack.logged("app", request_id), stack.logged("proxy", request_id)
    (name,) = APPLICATIONS_TIME & set(proxy)
    upstream = float(proxy[name]) / (1e6 if "microseconds" in name else 1)
    took = answer.elapsed.total_seconds()
    # Clocks are read in milliseconds, and an answer's last bytes leave before it is logged.
    assert 0.29 < app["seconds"] < upstream + 0.02 < proxy["seconds"] + 0.04 < took + 0.1


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/%22%5C%0A%C3%A9", 404), ("/probe/fail", 500)],
    ids=["page", "odd-path", "failure"],
)
@both
def test_a_request_is_logged_as_json(stack: Stack, service: str, path: str, status: int):
    """A line of the proxy's, and one of the application's, with what a failure was."""
    answer = stack.get(path)
    assert answer.status_code == status
    entries = stack.logged(service, answer.headers["X-Request-ID"])
    assert [entry["status"] for entry in entries if "status" in entry] == [status]
    if service == "app" and status == 500:
        assert any("the probe fails" in entry.get("exc_info", "") for entry in entries)


# --- What a client sends ---

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
    """Every line that a request leaves in a log is one of text; the JSON is the logger's own."""
    token = uuid4().hex.upper()
    headers = [b'User-Agent: "' + FORGED.encode(), b"Referer: \\" + FORGED.encode()]
    line = line.replace(b"TOKEN", token.encode())
    exchange(stack.port, request(*headers, "Connection: close", line=line), wait=1)
    end = stack.get("/").headers["X-Request-ID"]
    for service in ("app", "proxy"):
        stack.wait_for_log(service, f'"{end}"')
        for logged in stack.container(service).logs(tail=20).decode().splitlines():
            if "forged" in logged or logged.startswith("{"):
                entry = json.loads(logged)
                assert entry["logger"] != "forged"
                if entry["logger"] == "proxy.access":
                    assert FIELDS["proxy"] < set(entry)
                    assert len(entry["request_id"]) >= 16
                    # Docker repairs what is no text; other collectors of logs do not.
                    assert entry["uri"].isascii()
