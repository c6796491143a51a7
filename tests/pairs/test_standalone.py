"""The application's container without a sidecar: which headers it trusts, and its limits.

Only ProxyFix may trust a header, so these tests read the WSGI environment as the server made it.
"""

import json
import re

import pytest

from tests.lib.raw_http import Reply, exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import request


def address(stack: Stack) -> str:
    """Return the address of the application's container on the stack's network."""
    networks = stack.container("app").attrs["NetworkSettings"]["Networks"]
    return networks[f"{stack.name}_default"]["IPAddress"]


def ask(stack: Stack, *headers: str | bytes, target: str = "/probe/environ") -> Reply:
    """Send a GET request to the application's container; return its server's response."""
    found = exchange(
        8000,
        request(*headers, "Connection: close", line=f"GET {target} HTTP/1.1"),
        host=address(stack),
        piece=5_000,
    )
    assert len(found.replies) == 1, found
    assert found.rest == b""
    return found.replies[0]


def environ(stack: Stack, *headers: str | bytes, target: str = "/probe/environ") -> dict[str, str]:
    """Return the WSGI environment that the server creates for a request."""
    reply = ask(stack, *headers, target=target)
    assert reply.status == 200, reply
    return reply.json()


# Sends bytes to the server from inside its container, and prints the response.
FROM_INSIDE = """
import socket, sys
with socket.create_connection((sys.argv[1], 8000), 5) as connection:
    connection.sendall(bytes.fromhex(sys.argv[2]))
    while part := connection.recv(65536):
        sys.stdout.buffer.write(part)
"""


def seen_from_inside(stack: Stack, loopback: str, *headers: str, path: str) -> dict[str, str]:
    """Return the application's response to a client in the same container or pod."""
    data = request(*headers, "Connection: close", line=f"GET {path} HTTP/1.1")
    command = ["python", "-c", FROM_INSIDE, loopback, data.hex()]
    status, output = stack.container("app").exec_run(command)
    assert status == 0, output
    return json.loads(output.partition(b"\r\n\r\n")[2])


def own(made: dict[str, str]) -> dict[str, str]:
    """Return the variables that the server sets itself, without the client's port."""
    return {
        name: value
        for name, value in made.items()
        if name == "wsgi.url_scheme"
        or (name.isupper() and not name.startswith("HTTP_") and name != "REMOTE_PORT")
    }


# --- Names ---

UNDERSCORED = [
    "X_Auth_User", "X-Auth_User", "Content_Type", "Content_Length", "Transfer_Encoding",
    "If_None_Match", "User_Agent", "X_Forwarded_For", "X_Forwarded_Proto", "X-Forwarded_Prefix",
    "X_Request_ID", "SCRIPT_NAME", "PATH_INFO", "REMOTE_ADDR", "REMOTE_USER", "_", "X-_",
]  # fmt: skip


def test_name_with_an_underscore_is_dropped(stack: Stack):
    """In WSGI, it is the same as the name with a hyphen (RFC 9110, 17.10)."""
    plain = environ(stack)
    for name in UNDERSCORED:
        for spelling in {name, name.lower(), name.upper()}:
            made = environ(stack, f"{spelling}: 7")
            assert made.keys() == plain.keys(), spelling
            assert own(made) == own(plain), spelling


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_name_with_an_underscore_does_not_replace_another(stack: Stack, first: bool):
    for name in ("X_Auth_User", "Content_Type", "If_None_Match", "User_Agent"):
        headers = [f"{name}: fake", f"{name.replace('_', '-')}: real"]
        made = environ(stack, *(headers if first else headers[::-1]))
        variable = name.upper() if name == "Content_Type" else f"HTTP_{name.upper()}"
        assert made[variable] == "real"
        assert "fake" not in str(made)


FORGED = {
    "SCRIPT_NAME": "/evil", "Script-Name": "/evil", "PATH_INFO": "/evil", "Path-Info": "/evil",
    "REMOTE_ADDR": "6.6.6.6", "Remote-Addr": "6.6.6.6", "REMOTE_USER": "evil",
    "Remote-User": "evil", "HTTPS": "on", "Server-Name": "evil.example", "Server-Port": "6666",
    "Request-Method": "EVIL", "Query-String": "evil", "UWSGI-Scheme": "https",
    "X-Scheme": "https", "X-Url-Scheme": "https", "Front-End-Https": "on",
    "Forwarded": "for=6.6.6.6;proto=https;host=evil.example;by=evil",
    "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Scheme": "https", "X-Forwarded-Ssl": "on", "X-Forwarded-Https": "1",
    "X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil", "X-Forwarded-Script-Name": "/evil", "X-Script-Name": "/evil",
    "X-Real-IP": "6.6.6.6", "X-Client-IP": "6.6.6.6", "X-HTTP-Method-Override": "EVIL",
}  # fmt: skip


def test_spoofed_header_is_not_trusted(stack: Stack):
    plain = own(environ(stack))
    assert plain["SCRIPT_NAME"] == ""
    assert plain["PATH_INFO"] == "/probe/environ"
    assert plain["wsgi.url_scheme"] == "http"
    for name, value in FORGED.items():
        assert own(environ(stack, f"{name}: {value}")) == plain, name


LOOPBACK = ["127.0.0.1", "::1"]


@pytest.mark.parametrize("loopback", LOOPBACK)
def test_spoofed_headers_from_loopback_are_not_trusted(stack: Stack, loopback: str):
    """In a pod, a sidecar connects from loopback, which Gunicorn trusts by default."""
    forged = [f"{name}: {value}" for name, value in FORGED.items()]
    made = seen_from_inside(stack, loopback, *forged, path="/probe/environ")
    assert own(made) == own(seen_from_inside(stack, loopback, path="/probe/environ"))


@pytest.mark.parametrize("loopback", LOOPBACK)
def test_address_of_a_loopback_client(stack: Stack, loopback: str):
    assert seen_from_inside(stack, loopback, path="/probe/request")["address"] == loopback


def test_address_of_the_peer(stack: Stack):
    """An IPv4 address is not mapped to IPv6, although the server also listens on IPv6."""
    network = stack.docker.networks.get(f"{stack.name}_default")
    seen = ask(stack, target="/probe/request").json()["address"]
    assert seen == network.attrs["IPAM"]["Config"][0]["Gateway"]


def test_no_content_type_is_added(stack: Stack):
    assert "CONTENT_TYPE" not in own(environ(stack)) or not environ(stack)["CONTENT_TYPE"]


def test_control_character_in_a_value_is_refused(stack: Stack):
    """RFC 9110, 5.5; Python's parser would read a new header after a bare CR (RFC 9112, 2.2)."""
    for code in (*range(9), *range(11, 32), 127):
        data = request(
            "Connection: close",
            b"X-A: b%cX-Auth-User: fake" % code,
            line="GET /probe/environ HTTP/1.1",
        )
        found = exchange(8000, data, host=address(stack))
        assert found.statuses in ([400], []), code


@pytest.mark.parametrize("separator", [b"\x85", b"\xc2\x85", b"\xe2\x80\xa8"], ids=repr)
def test_value_cannot_add_a_header(stack: Stack, separator: bytes):
    """Python's str.splitlines also splits at these characters."""
    made = environ(stack, b"X-A: b" + separator + b"X-Auth-User: fake")
    assert "HTTP_X_AUTH_USER" not in made


# --- Sizes: larger than the requests that sidecars forward, with their own headers ---

LARGE_REQUESTS = {
    "path-17-KB": ([], "/probe/" + "p" * 17_000),
    "path-of-many-segments": ([], "/probe" + "/p" * 8_500),
    "path-of-escapes": ([], "/probe/" + "%C3%A4" * 2_800),
    "query-17-KB": ([], "/probe/environ?" + "q" * 17_000),
    "field-17-KB": (["X-A: " + "a" * 17_000], "/probe/environ"),
    "fields-120": ([f"X-{number}: a" for number in range(120)], "/probe/environ"),
    "fields-120-alike": (["X-A: a"] * 120, "/probe/environ"),
    "all-40-KB": ([f"X-{number}: " + "a" * 16_000 for number in range(2)], "/probe/" + "p" * 8_000),
    "path-and-fields": (["X-A: " + "a" * 16_000], "/probe/" + "p" * 16_300),
    "query-and-fields": (["X-A: " + "a" * 16_000], "/probe/environ?" + "q" * 16_300),
}


@pytest.mark.parametrize("name", LARGE_REQUESTS)
def test_large_request(stack: Stack, name: str):
    headers, target = LARGE_REQUESTS[name]
    reply = ask(stack, *headers, target=target)
    # The application responded, and received this path.
    path = target.partition("?")[0]
    assert reply.headers["X-Probe-Path"] == path
    assert reply.status == (200 if path == "/probe/environ" else 404)
    if reply.status == 200:
        made = reply.json()
        sent = sum(len(header) for header in headers)
        fields = [made[variable] for variable in made if re.match("HTTP_X_[A0-9]", variable)]
        assert sum(map(len, fields)) >= sent - len("X-999: ") * len(headers)
        assert made.get("QUERY_STRING", "") == target.partition("?")[2]


def test_large_response_header(stack: Stack):
    reply = ask(stack, target="/probe/long-header/60000")
    assert reply.status == 200
    assert reply.headers["X-Long"] == "x" * 60_000


@pytest.mark.parametrize(("number", "size"), [(12, 4_500), (80, 600)])
def test_large_response_headers(stack: Stack, number: int, size: int):
    """All headers arrive, including cookies of several KB."""
    reply = ask(stack, target=f"/probe/many-headers/{number}/{size}")
    assert reply.status == 200
    # Servers may change the order of headers that have different names.
    found = sorted(value for value in reply.headers.values() if value.endswith("x" * size))
    assert found == sorted(f"c{place}=" + "x" * size for place in range(number))
