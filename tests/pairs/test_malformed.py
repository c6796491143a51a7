"""Malformed and unusual requests are rejected, or read in the only valid way."""

import pytest

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.pairs.request_recorder import (
    CLOSED,
    FIRST,
    Probe,
    assert_security_headers,
    check,
    request,
)

REFUSED = frozenset({400})
EITHER = frozenset({200, 400})
TAKEN = frozenset({200})
LINE = f"GET {FIRST} HTTP/1.1"


def get(*headers: str | bytes, line: str | bytes = LINE, host: str = "Host: localhost") -> bytes:
    """Return a GET request's bytes."""
    return request(*headers, line=line, host=host)


# --- Lines and characters ---

MALFORMED_HEADERS: dict[str, bytes] = {
    "bare-CR-in-value": b"X-A: b\rX-C: d",
    "bare-CR-at-the-end": b"X-A: b\r\rX-C: d",
    "NUL-in-value": b"X-A: b\x00c",
    "NUL-in-name": b"X-\x00A: b",
    "no-name": b": b",
    "space-before-colon": b"X-A : b",
    "tab-before-colon": b"X-A\t: b",
    "space-in-name": b"X A: b",
    "control-character-in-name": b"X-\x01A: b",
    # Rejected by httpd or the WSGI server; otherwise by the application.
    "SOH-in-value": b"X-A: b\x01c",
    "DEL-in-value": b"X-A: b\x7fc",
    "ESC-in-value": b"X-A: b\x1b[31mc",
    "BEL-in-value": b"X-A: b\x07c",
}

LINES = (
    [Probe(id, get(line), REFUSED) for id, line in MALFORMED_HEADERS.items()]
    + [
        Probe(id, get(line), EITHER)
        for id, line in {
            # nginx drops headers with such names; httpd rejects names that are not tokens.
            "no-colon": b"X-A",
            "parenthesis-in-name": b"X-(A): b",
            "quote-in-name": b'X-"A": b',
            "at-in-name": b"X-@A: b",
            "umlaut-in-name": b"X-\xc3\xa4: b",
            "slash-in-name": b"X/A: b",
            # httpd unfolds these; nginx rejects them.
            "folded-value": b"X-A: b\r\n c",
            "folded-with-tab": b"X-A: b\r\n\tc",
            "folded-to-a-header": b"X-A: b\r\n Content-Length: 9",
            "folded-to-chunked": b"X-A: b\r\n Transfer-Encoding: chunked",
            # nginx accepts a bare LF as a line ending; httpd rejects it (RFC 9112, 2.2).
            "bare-LF-behind-value": b"X-A: b\nX-C: d",
            "bare-LF-before-length": b"X-A: b\nContent-Length: 0",
        }.items()
    ]
    + [
        Probe(id, get(line), TAKEN)
        for id, line in {
            "umlaut-in-value": b"X-A: \xc3\xa4",
            "latin-1-in-value": b"X-A: \xe4",
            "empty-value": b"X-A:",
            "tab-in-value": b"X-A: b\tc",
            "colons-in-value": b"X-A::b:c",
        }.items()
    ]
    + [
        Probe("bare-LF-everywhere", get().replace(b"\r\n", b"\n"), EITHER),
        Probe("bare-CR-everywhere", get().replace(b"\r\n", b"\r"), REFUSED),
        Probe("CRLF-before", b"\r\n" + get(), TAKEN),
        Probe("LF-before", b"\n" + get(), EITHER),
        Probe("space-before", b" " + get(), REFUSED),
        Probe("NUL-before", b"\x00" + get(), REFUSED),
        Probe("header-begins-with-space", get(line=LINE + "\r\n X-A: b"), REFUSED),
    ]
)

# --- Request lines ---

REQUEST_LINES = [
    Probe(id, get(line=line), REFUSED)
    for id, line in {
        "only-a-method": "GET",
        "no-slash": f"GET {FIRST[1:]} HTTP/1.1",
        "NUL-in-target": f"GET {FIRST}\x00 HTTP/1.1",
        "bare-CR-in-target": f"GET {FIRST}\r HTTP/1.1",
        "broken-escape": f"GET {FIRST}%zz HTTP/1.1",
        "tab-for-space": f"GET\t{FIRST}\tHTTP/1.1",
        "space-in-target": f"GET {FIRST} x HTTP/1.1",
        "text-behind-version": f"{LINE} x",
        "control-character-in-query": f"GET {FIRST}?\x01 HTTP/1.1",
        "DEL-in-query": f"GET {FIRST}?\x7f HTTP/1.1",
        "umlaut-in-query": f"GET {FIRST}?\xe4 HTTP/1.1",
        "star": "GET * HTTP/1.1",
    }.items()
] + [
    Probe(id, get(line=line), EITHER)
    for id, line in {
        "two-spaces": f"GET  {FIRST} HTTP/1.1",
        "space-behind-version": f"{LINE} ",
        "fragment": f"GET {FIRST}?a#b HTTP/1.1",
        "quote-and-brackets-in-query": f'GET {FIRST}?"<>{{}}|^` HTTP/1.1',
    }.items()
]

# --- Versions ---

# 505 means an unsupported version. HTTP/0.9 has no status codes.
UNKNOWN = frozenset({400, 505, CLOSED})
VERSIONS = [
    Probe("HTTP-0.9", f"GET {FIRST}\r\n".encode(), UNKNOWN),
    *(
        Probe(version.replace("/", "-"), get(line=f"GET {FIRST} {version}"), UNKNOWN)
        for version in (
            "HTTP/0.9", "HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/9.9", "HTTP/11.1", "HTTP/1",
            "HTTP/1.", "HTTP/.1", "HTTP/1.1.1", "HTTP/-1.1", "HTTP/1,1", "http/1.1", "HTTPS/1.1",
            "ICAP/1.0", "HTTP1.1",
        )
    ),
    Probe("HTTP-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UNKNOWN, method="PRI"),
    Probe("HTTP-1.0", get(line=f"GET {FIRST} HTTP/1.0"), TAKEN),
    Probe("HTTP-1.0-without-Host", get(line=f"GET {FIRST} HTTP/1.0", host=""), TAKEN),
    Probe("HTTP-1.0-kept", get("Connection: keep-alive", line=f"GET {FIRST} HTTP/1.0"), TAKEN),
    # A later minor version is read as HTTP/1.1 (RFC 9110, 2.5).
    Probe("HTTP-1.2", get(line=f"GET {FIRST} HTTP/1.2"), TAKEN | UNKNOWN),
    Probe("HTTP-01.1", get(line=f"GET {FIRST} HTTP/01.1"), TAKEN | UNKNOWN),
    Probe("HTTP-1.10", get(line=f"GET {FIRST} HTTP/1.10"), TAKEN | UNKNOWN),
]  # fmt: skip

# --- Methods ---

NOT_ALLOWED = frozenset({400, 405})
# The application responds 405 to unknown methods. Only letters and hyphens reach it.
NOT_KNOWN = frozenset({400, 405, 501})


def method(name: str, target: str = FIRST, safe: frozenset[int] = NOT_KNOWN, **more) -> Probe:
    """Return a probe with a method that the application may receive and reject."""
    line = f"{name} {target} HTTP/1.1"
    return Probe(f"{name[:20]}-{target[:9].strip('/')}", get(line=line), safe, method=name, **more)


METHODS_FOR_THE_APPLICATION = [
    method("PROPFIND"), method("QUERY"), method("PURGE"), method("GPOST"), method("X-METHOD"),
    method("A" * 9000, safe=NOT_KNOWN | {414}),
]  # fmt: skip
METHODS = [
    method("TRACE", safe=NOT_ALLOWED),
    method("TRACK", "/static/style.css"),
    method("CONNECT", safe=NOT_ALLOWED),
    method("CONNECT", "evil.example:443", safe=NOT_ALLOWED),
    method("CONNECT", "localhost:8000", safe=NOT_ALLOWED),
    method("get"),
    method("Post"),
    method("G(T"),
    method("G\x01T"),
    method("G\xe4T"),
    method('"GET"'),
    method("GET,GET"),
    # These concern the whole server: the proxy responds to them, or rejects them.
    Probe(
        "OPTIONS-*", get(line="OPTIONS * HTTP/1.1"), frozenset({200, 400, 405}), method="OPTIONS"
    ),
    Probe(
        "OPTIONS-*-10", get(line="OPTIONS * HTTP/1.0"), frozenset({200, 400, 405}), method="OPTIONS"
    ),
]

# --- Other protocols ---

UPGRADES = [
    Probe(id, get(*lines), TAKEN)
    for id, lines in {
        "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"],
        "h2c-without-Connection": ["Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
        "h2c-two-lines": ["Connection: Upgrade", "Connection: HTTP2-Settings", "Upgrade: h2c"],
        "websocket": [
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ],
        "TLS": ["Connection: Upgrade", "Upgrade: TLS/1.2"],
        "unknown": ["Connection: Upgrade", "Upgrade: foo/2"],
    }.items()
]  # fmt: skip
NOT_HTTP = [
    Probe("TLS-hello", bytes.fromhex("16030100a5010000a10303") + bytes(range(1, 150)), UNKNOWN),
    Probe("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", UNKNOWN),
    Probe("SMTP", b"EHLO evil.example\r\n", UNKNOWN),
    Probe("PROXY-protocol", b"PROXY TCP4 6.6.6.6 6.6.6.6 1 2\r\n" + get(), UNKNOWN),
    Probe("FTP", b"USER anonymous\r\n", UNKNOWN),
]


@pytest.mark.parametrize("probe", LINES, ids=str)
def test_header_lines(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", REQUEST_LINES, ids=str)
def test_request_line(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", VERSIONS, ids=str)
def test_version(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", METHODS, ids=str)
def test_method_that_does_not_reach_the_application(stack: Stack, probe: Probe):
    _, seen = check(stack, probe)
    assert [got["method"] for got in seen if "/canary/" not in got["path"]] == []


@pytest.mark.parametrize("probe", METHODS_FOR_THE_APPLICATION, ids=str)
def test_method_that_the_application_rejects(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", UPGRADES, ids=str)
def test_no_other_protocol_is_supported(stack: Stack, probe: Probe):
    """There is no 101 response, and the application does not receive the upgrade headers."""
    _, seen = check(stack, probe)
    assert "HTTP_UPGRADE" not in seen[0]["headers"]
    assert "upgrade" not in seen[0]["headers"].get("HTTP_CONNECTION", "").lower()


@pytest.mark.parametrize("probe", NOT_HTTP, ids=str)
def test_other_protocols_are_rejected(stack: Stack, probe: Probe):
    check(stack, probe)


# --- Statuses: listed in docs/security.md, "What is refused" ---

STATUSES = {
    "bytes-in-target": (400, get(line=f"GET {FIRST}?\xe4 HTTP/1.1")),
    "spaces": (400, get(line=f"GET  {FIRST} HTTP/1.1")),
    "fragment": (400, get(line=f"GET {FIRST}#a HTTP/1.1")),
    "lower-case-method": (400, get(line=f"get {FIRST} HTTP/1.1")),
    "star": (400, get(line="OPTIONS * HTTP/1.1")),
    "above-the-root": (400, get(line="GET /../a HTTP/1.1")),
    "NUL": (400, get(line="GET /a%00 HTTP/1.1")),
    "broken-escape": (400, get(line="GET /%zz HTTP/1.1")),
    "TRACE": (405, get(line="TRACE / HTTP/1.1")),
    "CONNECT": (405, get(line="CONNECT evil.example:443 HTTP/1.1")),
    "version": (505, get(line=f"GET {FIRST} HTTP/3.0")),
    "no-host": (400, get(host="")),
    "two-hosts": (400, get("Host: localhost")),
    "host": (400, get(host="Host: local,host")),
    "coding-behind-chunked": (400, get("Transfer-Encoding: chunked, gzip")),
    "coding-before-chunked": (501, get("Transfer-Encoding: gzip, chunked")),
    "chunked-in-HTTP-1.0": (
        400,
        get("Transfer-Encoding: chunked", line=f"POST {FIRST} HTTP/1.0") + b"0\r\n\r\n",
    ),
    "length": (400, get("Content-Length: 1x")),
    "expectation": (417, get("Expect: something")),
    "two-authorizations": (400, get("Authorization: Basic YTpi", "Authorization: Bearer a")),
}


@pytest.mark.parametrize("name", STATUSES)
def test_status_of_a_refusal(stack: Stack, name: str):
    status, data = STATUSES[name]
    reply = exchange(stack.port, data, wait=1).replies[0]
    assert reply.status == status
    assert "X-Probe-Path" not in reply.headers
    assert_security_headers(reply.headers, reply.body)


@pytest.mark.parametrize("value", [b"a\x01b", b"a\x1bb", b"a\x7fb"])
def test_control_character_in_a_field_is_refused(stack: Stack, value: bytes):
    """The proxy or the application rejects it (RFC 9110, 5.5)."""
    reply = exchange(stack.port, get(b"X-A: " + value, "Connection: close"), wait=1).replies[0]
    assert reply.status == 400
    assert_security_headers(reply.headers, reply.body)
