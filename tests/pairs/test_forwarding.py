"""The application gets the client data that the proxy observed, not what clients claim."""

import json
from itertools import product
from uuid import uuid4

import pytest

from tests.lib.raw_http import Reply, exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import FIRST, Probe, RequestRecorder, check, request, told

SPOOFED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Protocol": "evil",
    "X-Forwarded-Scheme": "evil",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Ssl": "evil",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=https;host=evil.example",
    "Proxy": "http://evil.example",
}


def seen(stack: Stack, **headers: str) -> dict:
    """Return the request as the application sees it; check that the proxy's log agrees."""
    response = stack.get("/probe/request", headers=headers)
    assert response.status_code == 200
    told = response.json()
    (entry,) = stack.logged("proxy", response.headers["X-Request-ID"])
    assert told["address"] == entry["client"]
    return told


@pytest.mark.smoke
def test_client_scheme_and_host(stack: Stack):
    told = seen(stack)
    network = stack.docker.networks.get(f"{stack.name}_default")
    assert told["address"] == network.attrs["IPAM"]["Config"][0]["Gateway"]
    assert told["scheme"] == "http"
    assert told["host"] == f"127.0.0.1:{stack.port}"
    assert told["root"] == f"{stack.url}/"


def test_host_name_and_port_arrive_as_sent(stack: Stack):
    assert seen(stack, Host="service.example:8443")["root"] == "http://service.example:8443/"


@pytest.mark.parametrize(
    "spoofed", [SPOOFED, *({name: SPOOFED[name]} for name in SPOOFED)], ids="+".join
)
def test_spoofed_client_headers_are_ignored(stack: Stack, spoofed: dict[str, str]):
    assert_same_client(seen(stack, **spoofed), seen(stack))


def assert_same_client(told: dict, plain: dict) -> None:
    """Check that spoofed headers change nothing, and that the proxy has already removed them."""
    headers = told.pop("headers") + told.pop("from_server")
    assert told == {name: value for name, value in plain.items() if name in told}
    for name, value in headers:
        assert "evil" not in value, name
        assert "6.6.6.6" not in value, name


def similar_names(name: str) -> list[str]:
    """Return spellings with underscores for hyphens: servers may treat them as the same name."""
    words = name.split("-")
    spellings = [
        "".join(sum(zip(words, (*marks, "")), ()))  # noqa: B905 (as many marks as gaps)
        for marks in product("-_", repeat=len(words) - 1)
    ]
    return spellings[1:]


SIMILAR = {alike: value for name, value in SPOOFED.items() for alike in similar_names(name)}


def assert_nothing_is_believed(stack: Stack, *headers: str) -> None:
    assert_same_client(told(stack, *headers)[0], told(stack)[0])


@pytest.mark.parametrize("name", SIMILAR)
def test_similar_header_names_are_ignored(stack: Stack, name: str):
    for spelling in (name, name.lower(), name.upper()):
        assert_nothing_is_believed(stack, f"{spelling}: {SIMILAR[name]}")


@pytest.mark.smoke
def test_all_spoofed_headers_together_are_ignored(stack: Stack):
    """They are ignored even if each one occurs twice and a server joins the values."""
    spoofed = [f"{name}: {value}" for name, value in (SPOOFED | SIMILAR).items()]
    assert_nothing_is_believed(stack, *spoofed[: len(spoofed) // 2] * 2)
    assert_nothing_is_believed(stack, *spoofed[len(spoofed) // 2 :] * 2)


@pytest.mark.parametrize(
    "value", ["", " ", ",", "unknown", "127.0.0.1", "::1", "6.6.6.6, 10.0.0.1"]
)
def test_spoofed_addresses_are_ignored(stack: Stack, value: str):
    for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For"):
        assert_nothing_is_believed(stack, f"{name}: {value}")
        assert_nothing_is_believed(stack, f"{name}: {value}", f"{name}: 6.6.6.6")


@pytest.mark.parametrize(
    "connection",
    [
        "close, X-Forwarded-For",
        "X-Forwarded-For",
        "x-forwarded-for,x-forwarded-proto,x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Prefix",
        "X-Request-ID",
        "Host",
        "close,Host,Transfer-Encoding,Content-Length",
        "keep-alive\t,\tX-Forwarded-For",
        "closeX-Forwarded-For, X-Forwarded-For;q=1",
        "X_Forwarded_For",
        "\r\nConnection: X-Forwarded-For\r\nConnection: X-Request-ID",
    ],
)
def test_connection_header_removes_no_forwarded_header(stack: Stack, connection: str):
    """Headers that Connection lists are removed, but not those that the proxy sets itself."""
    assert_nothing_is_believed(stack, f"Connection: {connection}")
    found, _ = told(stack, f"Connection: {connection}")
    headers = {name.title(): value for name, value in found["headers"]}
    assert headers["X-Forwarded-For"] == found["address"]
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Forwarded-Host"] == headers["Host"] == "localhost"
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("token", ["Content-Length", "Transfer-Encoding", "Content-Type", "Expect"])
def test_connection_header_removes_no_length(stack: Stack, token: str):
    data = request(f"Connection: {token}", "Content-Length: 5", body=b"hello")
    check(stack, Probe(token, data, frozenset({200}), (b"hello",)))


# --- Request ids ---


@pytest.mark.parametrize("name", ["X-Request-ID", "x-request-id", *similar_names("X-Request-ID")])
def test_request_id_is_the_proxys(stack: Stack, name: str):
    """A client's request id is never used: not in the response, the application, or a log."""
    claimed = uuid4().hex

    def ask(path: str) -> Reply:
        data = request(f"{name}: {claimed}", "Connection: close", line=f"GET {path} HTTP/1.1")
        (reply,) = exchange(stack.port, data).replies
        return reply

    reply = ask("/probe/request")
    headers = json.loads(reply.body)["headers"]
    given = [value for name, value in headers if name.lower().replace("_", "-") == "x-request-id"]
    assert given == reply.headers.get_all("X-Request-ID")
    assert len(given) == 1
    assert claimed not in str(headers)
    # Both containers log a failed request.
    request_id = ask("/probe/fail").headers["X-Request-ID"]
    for service in ("app", "proxy"):
        assert claimed not in str(stack.wait_for_log(service, request_id))


# --- Hosts ---

REFUSED = frozenset({400})
EITHER = frozenset({200, 400})
HOSTS = [
    Probe(id, request(*lines, line=f"GET {FIRST} HTTP/1.1", host=""), REFUSED)
    for id, lines in {
        "missing": [],
        "twice": ["Host: localhost", "Host: localhost"],
        "twice-different": ["Host: localhost", "Host: evil.example"],
        "empty-and-another": ["Host:", "Host: evil.example"],
        "space": ["Host: local host"],
        "slash": ["Host: localhost/evil"],
        "user": ["Host: localhost@evil.example"],
        "list": ["Host: localhost, evil.example"],
        "tab": ["Host: localhost\tevil.example"],
        "space-before-colon": ["Host : localhost"],
        "port-is-no-number": ["Host: localhost:80a"],
        "open-bracket": ["Host: [::1"],
        "NUL": ["Host: local\x00host"],
    }.items()
]
ODD_HOSTS = [
    Probe(id, request(*lines, line=f"GET {FIRST} HTTP/1.1", host=""), EITHER)
    for id, lines in {
        "empty": ["Host:"],
        "folded": ["Host:\r\n localhost"],
        "dots": ["Host: ..evil.example"],
        "dot-behind": ["Host: localhost."],
        "backslash": ["Host: localhost\\evil"],
        "query": ["Host: localhost?evil"],
        "fragment": ["Host: localhost#evil"],
        "quote": ['Host: localhost"evil'],
        "brackets": ["Host: <evil>"],
        "underscore": ["Host: local_host"],
        "latin-1": ["Host: \xe4.example"],
        "port-is-empty": ["Host: localhost:"],
        "port-0": ["Host: localhost:0"],
        "port-too-large": ["Host: localhost:65536"],
        "IPv6": ["Host: [::1]:8080"],
        "long": ["Host: " + "h" * 60],
    }.items()
]


@pytest.mark.parametrize("probe", HOSTS + ODD_HOSTS, ids=str)
def test_host(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize(
    "lines",
    [
        ["GET http://good.example{} HTTP/1.1", "Host: good.example"],
        ["GET http://good.example{} HTTP/1.1", "Host: evil.example"],
        ["GET HTTP://GOOD.example{} HTTP/1.1", "Host: evil.example"],
        [
            "GET http://good.example{} HTTP/1.1",
            "Host: evil.example",
            "X-Forwarded-Host: evil.example",
        ],
    ],
    ids=["alike", "another", "upper-case", "forwarded"],
)
def test_host_in_the_target_takes_precedence(stack: Stack, lines: list[str]):
    """RFC 9112, 3.2.2: the host of an absolute target is used, and the Host header is ignored."""
    line = lines[0].format("/probe/request")
    data = request(*lines[1:], "Connection: close", line=line, host="")
    (reply,) = exchange(stack.port, data).replies
    assert reply.status == 200
    told = json.loads(reply.body)
    assert told["host"].lower() == "good.example"
    assert told["scheme"] == "http"
    assert "evil" not in str(told)


@pytest.mark.parametrize(
    "target",
    [
        "https://localhost{}", "ftp://localhost{}", "http://user@localhost{}", "http:{}",
        "//evil{}", "http://{}", "evil.example{}", "file://{}", "http://local host{}", "{}://evil",
    ],
)  # fmt: skip
def test_odd_target(stack: Stack, target: str):
    """It is rejected or handled here: not forwarded elsewhere, and its scheme is not trusted."""
    recorder = RequestRecorder(stack)
    line = f"GET {target.format('/probe/request')} HTTP/1.1"
    found = exchange(recorder.port, request("Connection: close", line=line))
    assert found.statuses in ([200], [308], [400], [404], [403]), found.statuses
    if found.statuses == [200]:
        assert json.loads(found.replies[0].body)["scheme"] == "http"
    assert all(got["headers"]["HTTP_X_FORWARDED_PROTO"] == "http" for got in recorder.requests())
