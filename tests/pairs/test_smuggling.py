"""Proxy and server agree where requests end, or the proxy rejects them: no request smuggling."""

import pytest

from tests.lib.stack import Stack
from tests.pairs.request_recorder import FIRST, SMUGGLED, Probe, check, request

REFUSED = frozenset({400})
# RFC 9112: 400 for a malformed request, 501 for an unknown transfer coding.
REFUSED_CODING = frozenset({400, 501})
EITHER = frozenset({200, 400})
TAKEN = frozenset({200})
# Resources that ignore a body respond or reject the method. They never read it as a request.
ANSWERED = frozenset({200, 403, 404, 405})

LENGTH = str(len(SMUGGLED.replace(b"TOKEN", bytes(32))))
CHUNKED = "Transfer-Encoding: chunked"


def in_chunks(*parts: bytes) -> bytes:
    """Return a chunked body."""
    sizes = (len(part.replace(b"TOKEN", bytes(32))) for part in parts)
    chunks = (b"%x\r\n%b\r\n" % (size, part) for size, part in zip(sizes, parts, strict=True))
    return b"".join(chunks) + b"0\r\n\r\n"


# --- Two lengths at once ---

ONE_CHUNK = in_chunks(SMUGGLED)
EMPTY_THEN = b"0\r\n\r\n" + SMUGGLED
EMPTY_THEN_LENGTH = f"Content-Length: {int(LENGTH) + 5}"

CONFLICTS = [
    # Chunked takes precedence and the connection closes, or the response is 400 (RFC 9112, 6.3).
    Probe("CL.TE", request(EMPTY_THEN_LENGTH, CHUNKED, body=EMPTY_THEN), EITHER),
    Probe("TE.CL", request(CHUNKED, "Content-Length: 4", body=ONE_CHUNK), EITHER, (SMUGGLED,)),
    Probe("TE.CL-0", request(CHUNKED, "Content-Length: 0", body=ONE_CHUNK), EITHER, (SMUGGLED,)),
    Probe(
        "TE.TE-identity-last",
        request(CHUNKED, "Transfer-Encoding: identity", EMPTY_THEN_LENGTH, body=EMPTY_THEN),
        REFUSED_CODING,
    ),
    Probe(
        "TE.TE-identity-first",
        request("Transfer-Encoding: identity", CHUNKED, EMPTY_THEN_LENGTH, body=EMPTY_THEN),
        REFUSED_CODING,
    ),
    Probe("TE.TE-twice", request(CHUNKED, CHUNKED, body=ONE_CHUNK), REFUSED_CODING),
    Probe(
        "TE.TE-list",
        request("Transfer-Encoding: chunked, chunked", body=ONE_CHUNK),
        REFUSED_CODING,
    ),
    # A GET request may have a body, which is read as a body.
    Probe(
        "GET-with-a-body",
        request(f"Content-Length: {LENGTH}", line=f"GET {FIRST} HTTP/1.1", body=SMUGGLED),
        TAKEN,
        (SMUGGLED,),
    ),
    Probe(
        "GET-with-chunks",
        request(CHUNKED, line=f"GET {FIRST} HTTP/1.1", body=ONE_CHUNK),
        TAKEN,
        (SMUGGLED,),
    ),
    *(
        # The body is ignored, but must not be read as a request.
        Probe(
            f"CL.0-{path}",
            request(f"Content-Length: {LENGTH}", line=f"POST {path} HTTP/1.1", body=SMUGGLED),
            ANSWERED,
            path=path,
        )
        for path in ("/", "/static/style.css", "/static/nothing", "/health/proxy", "/nothing")
    ),
    *(
        Probe(
            f"TE.0-{path}",
            request(CHUNKED, line=f"POST {path} HTTP/1.1", body=ONE_CHUNK),
            ANSWERED,
            path=path,
        )
        for path in ("/", "/static/style.css", "/health/proxy")
    ),
]

# --- Spellings of a length ---

LENGTHS: dict[str, list[str | bytes]] = {
    "twice": [f"Content-Length: {LENGTH}"] * 2,
    "twice-different": [f"Content-Length: {LENGTH}", "Content-Length: 0"],
    "list": [f"Content-Length: {LENGTH}, {LENGTH}"],
    "list-different": [f"Content-Length: 0, {LENGTH}"],
    "plus": [f"Content-Length: +{LENGTH}"],
    "minus": [f"Content-Length: -{LENGTH}"],
    "hex": [f"Content-Length: {int(LENGTH):#x}"],
    "octal": [f"Content-Length: {int(LENGTH):#o}"],
    "exponent": ["Content-Length: 7e1"],
    "fraction": [f"Content-Length: {LENGTH}.0"],
    "underscore-in-digits": [f"Content-Length: {LENGTH[0]}_{LENGTH[1:]}"],
    "space-in-digits": [f"Content-Length: {LENGTH[0]} {LENGTH[1:]}"],
    "text-behind": [f"Content-Length: {LENGTH}a"],
    "comma-behind": [f"Content-Length: {LENGTH},"],
    "quoted": [f'Content-Length: "{LENGTH}"'],
    "empty": ["Content-Length:"],
    "overflow-64-bit": [f"Content-Length: {2**64 + int(LENGTH)}"],
    "overflow-32-bit-negative": ["Content-Length: -1"],
    "VT-before": [b"Content-Length: \x0b%b" % LENGTH.encode()],
    "FF-behind": [b"Content-Length: %b\x0c" % LENGTH.encode()],
    "NUL-behind": [b"Content-Length: %b\x00" % LENGTH.encode()],
    "NBSP-before": [b"Content-Length: \xa0%b" % LENGTH.encode()],
    "bare-CR-behind": [b"Content-Length: %b\rX: y" % LENGTH.encode()],
    "space-before-colon": [f"Content-Length : {LENGTH}"],
    "tab-before-colon": [f"Content-Length\t: {LENGTH}"],
    "folded-line-first": [f" Content-Length: {LENGTH}"],
}

SPELLED_LENGTHS = [
    Probe(id, request(*lines, body=SMUGGLED), REFUSED) for id, lines in LENGTHS.items()
] + [
    # Unusual but well-formed, or unfolded as RFC 9112 5.2 allows.
    Probe(
        "leading-zeros", request(f"Content-Length: 000{LENGTH}", body=SMUGGLED), EITHER, (SMUGGLED,)
    ),
    # nginx accepts spaces there, but not tabs.
    Probe(
        "tabs-around",
        request(f"Content-Length: \t {LENGTH} \t", body=SMUGGLED),
        EITHER,
        (SMUGGLED,),
    ),
    Probe(
        "spaces-around",
        request(f"Content-Length:  {LENGTH}  ", body=SMUGGLED),
        TAKEN,
        (SMUGGLED,),
    ),
    Probe("lower-case", request(f"content-length: {LENGTH}", body=SMUGGLED), TAKEN, (SMUGGLED,)),
    Probe("obs-fold", request(f"Content-Length:\r\n {LENGTH}", body=SMUGGLED), EITHER, (SMUGGLED,)),
    Probe("zero", request("Content-Length: 0"), TAKEN),
    # Not a length: only the real header, if there is one, determines the body.
    Probe("underscore", request("Content_Length: 5"), EITHER),
    Probe(
        "underscore-beside-it",
        request("Content-Length: 5", "Content_Length: 0", body=b"hello"),
        EITHER,
        (b"hello",),
    ),
    Probe(
        "underscore-before-it",
        request("Content_Length: 9", "Content-Length: 5", body=b"hello"),
        EITHER,
        (b"hello",),
    ),
]

# --- Spellings of chunked ---

CODINGS: dict[str, list[str | bytes]] = {
    "xchunked": ["Transfer-Encoding: xchunked"],
    "identity": ["Transfer-Encoding: identity"],
    "gzip-chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked-gzip": ["Transfer-Encoding: chunked, gzip"],
    "chunked-identity": ["Transfer-Encoding: chunked, identity"],
    "identity-chunked": ["Transfer-Encoding: identity, chunked"],
    "quoted": ['Transfer-Encoding: "chunked"'],
    "parameter": ["Transfer-Encoding: chunked;q=1"],
    "no-comma": ["Transfer-Encoding: chunked identity"],
    "VT-before": [b"Transfer-Encoding: \x0bchunked"],
    "VT-behind": [b"Transfer-Encoding: chunked\x0b"],
    "NUL-behind": [b"Transfer-Encoding: chunked\x00"],
    "NBSP-before": [b"Transfer-Encoding: \xa0chunked"],
    "space-before-colon": ["Transfer-Encoding : chunked"],
    "tab-before-colon": ["Transfer-Encoding\t: chunked"],
    "folded-line-first": [" Transfer-Encoding: chunked"],
    "bare-CR-behind": [b"Transfer-Encoding: chunked\rX: y"],
    "name-after-bare-LF": [b"X: y\n Transfer-Encoding: chunked"],
}

SPELLED_CODINGS = (
    [Probe(id, request(*lines, body=ONE_CHUNK), REFUSED_CODING) for id, lines in CODINGS.items()]
    + [
        Probe(
            f"{id}-and-length",
            request(*lines, f"Content-Length: {len(ONE_CHUNK) + 27}", body=ONE_CHUNK),
            REFUSED_CODING,
        )
        for id, lines in CODINGS.items()
    ]
    + [
        Probe(
            "upper-case", request("TRANSFER-ENCODING: CHUNKED", body=ONE_CHUNK), TAKEN, (SMUGGLED,)
        ),
        Probe(
            "tab-before",
            request("Transfer-Encoding:\tchunked", body=ONE_CHUNK),
            TAKEN | REFUSED_CODING,
            (SMUGGLED,),
        ),
        # Lists may have empty members (RFC 9110, 5.6.1).
        Probe(
            "comma-before",
            request("Transfer-Encoding: , chunked", body=ONE_CHUNK),
            EITHER | REFUSED_CODING,
            (SMUGGLED,),
        ),
        Probe(
            "comma-behind",
            request("Transfer-Encoding: chunked,", body=ONE_CHUNK),
            EITHER | REFUSED_CODING,
            (SMUGGLED,),
        ),
        Probe(
            "obs-fold",
            request("Transfer-Encoding:\r\n chunked", body=ONE_CHUNK),
            EITHER | REFUSED_CODING,
            (SMUGGLED,),
        ),
        Probe(
            "HTTP-1.0",
            request(CHUNKED, line=f"POST {FIRST} HTTP/1.0", body=ONE_CHUNK),
            EITHER,
            (SMUGGLED,),
        ),
        # Not a coding: only the real headers determine the body.
        Probe(
            "underscore",
            request("Transfer_Encoding: chunked", "Content-Length: 5", body=b"hello"),
            EITHER,
            (b"hello",),
        ),
        Probe("underscore-alone", request("Transfer_Encoding: chunked"), EITHER),
    ]
)

# --- Chunks ---

MALFORMED_CHUNKS: dict[str, bytes] = {
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space-before-size": b" 5\r\nhello\r\n0\r\n\r\n",
    "not-hex": b"g\r\nhello\r\n0\r\n\r\n",
    "no-size": b"\r\nhello\r\n0\r\n\r\n",
    "only-an-extension": b";a=b\r\nhello\r\n0\r\n\r\n",
    "overflow-64-bit": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "overflow-63-bit": b"fffffffffffffffb\r\nhello\r\n0\r\n\r\n",
    "spill": b"5\r\nhello!!\r\n0\r\n\r\n",
    "no-CRLF-behind-data": b"5\r\nhello0\r\n\r\n",
    "short": b"7\r\nhello\r\n0\r\n\r\n",
    "bare-CR-behind-size": b"5\rhello\r\n0\r\n\r\n",
    "NUL-in-size": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "smuggled-behind-a-bare-LF-extension": b"5;a\nhello\r\n0\r\n\r\n"[:4] + b"x\r\n" + SMUGGLED,
}

CHUNKS = (
    [
        # 413 if the size was parsed as a number that is too large.
        Probe(id, request(CHUNKED, body=body), REFUSED | {413})
        for id, body in MALFORMED_CHUNKS.items()
    ]
    + [
        Probe(id, request(CHUNKED, body=body), EITHER, (b"hello",))
        for id, body in {
            # Lenient, but not ambiguous.
            "LF-only": b"5\nhello\n0\n\n",
            "LF-behind-size": b"5\nhello\r\n0\r\n\r\n",
            "LF-at-the-end": b"5\r\nhello\r\n0\r\n\n",
            "space-behind-size": b"5 \r\nhello\r\n0\r\n\r\n",
        }.items()
    ]
    + [
        Probe(id, request(CHUNKED, body=body), TAKEN, (whole,))
        for id, body, whole in (
            ("empty", b"0\r\n\r\n", b""),
            ("many-zeros", b"0000000000\r\n\r\n", b""),
            ("zeros-before-size", b"00000005\r\nhello\r\n0\r\n\r\n", b"hello"),
            ("upper-case-hex", b"A\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
            (
                "one-byte-each",
                b"".join(b"1\r\n%c\r\n" % c for c in b"hello") + b"0\r\n\r\n",
                b"hello",
            ),
            ("extensions", b'5;a;b=c;d="e f"\r\nhello\r\n0;g\r\n\r\n', b"hello"),
            ("request-inside", ONE_CHUNK, SMUGGLED),
            ("trailer", b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n", b"hello"),
            (
                "long-trailer",
                b"5\r\nhello\r\n0\r\nX-Trailer: " + b"t" * 4000 + b"\r\n\r\n",
                b"hello",
            ),
            (
                "trailers-with-names-that-matter",
                b"5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n"
                b"Host: evil.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Trailer: 1\r\n\r\n",
                b"hello",
            ),
        )
    ]
)


def ids(probes: list[Probe]) -> dict:
    return {"argvalues": probes, "ids": str}


@pytest.mark.smoke
@pytest.mark.parametrize("probe", **ids(CONFLICTS))
def test_two_lengths(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", **ids(SPELLED_LENGTHS))
def test_spelling_of_content_length(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", **ids(SPELLED_CODINGS))
def test_spelling_of_transfer_encoding(stack: Stack, probe: Probe):
    check(stack, probe)


@pytest.mark.parametrize("probe", **ids(CHUNKS))
def test_chunks(stack: Stack, probe: Probe):
    _, seen = check(stack, probe)
    for name, value in seen[0]["headers"].items() if seen else ():
        assert (name, value) != ("HTTP_X_TRAILER", "1"), "a trailer became a header"
        assert "6.6.6.6" not in value, name
        assert "evil" not in value, name
