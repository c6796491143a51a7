"""The proxy and the application read text from clients in linear time.

Each text makes a pattern with nested or adjacent repetitions backtrack. The time is compared with
that of a harmless text of the same size in the same header, so the machine's speed does not matter.
"""

import time
from itertools import cycle, islice

import pytest

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack

# Just below the limit of a header's size.
SIZE = 16_000
HARMLESS = "abcdefghij"
# The permitted ratio to the time of the harmless text.
MOST = 3
# Requests per measurement.
TRIES = 5

# Headers to which a proxy or the application applies patterns.
HEADERS = [
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Connection",
    "Content-Type",
    "Cookie",
    "Expect",
    "Forwarded",
    "Host",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Range",
    "Transfer-Encoding",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Request-ID",
    "traceparent",
    "baggage",
]

# A part that is repeated up to SIZE, and the end of the text.
TEXTS = [
    (":", "x"),
    (",", "x"),
    (", ", "x"),
    (" \t", "x"),
    (".", "x"),
    ("1.", "x"),
    ("1.1.1.1,", "x"),
    ("::::::::::::::::::::::::::::::::::::::::::::x,", "x"),
    ("[", "x"),
    ("a,", ""),
    ("close,", "x"),
    ("keep-alive ", "x"),
    ("gzip;q=0", "x"),
    ("gzip ", "x"),
    ("0", "x"),
    ("-00000000", "_"),
    (".00000000", "_"),
    ("-0a0a0a0a", "_"),
    ("a=b;", "x"),
    ('a="\\', "x"),
    ('"', "x"),
    (";a=", "x"),
    ("a*=b'c'%20;", "x"),
    ('W/"a"', "x"),
    ("0-1,", "x"),
]


def filled(part: str, end: str) -> str:
    """Return a text of SIZE characters."""
    return "".join(islice(cycle(part), SIZE - len(end))) + end


def seconds(stack: Stack, data: bytes) -> float:
    """Return the seconds from a request to the start of its response."""
    with Raw(stack) as client:
        began = time.perf_counter()
        client.send(data)
        client.begin()
        return time.perf_counter() - began


def used(stack: Stack) -> int:
    """Return the CPU time that the stack's containers have used so far, in nanoseconds."""
    counted = (
        stack.docker.api.stats(stack.container(service).id, stream=False, one_shot=True)
        for service in ("app", "proxy")
    )
    return sum(stats["cpu_stats"]["cpu_usage"]["total_usage"] for stats in counted)


def cost(stack: Stack, data: bytes) -> int:
    """Return the CPU time of TRIES such requests, which other load does not affect."""
    before = used(stack)
    for _ in range(TRIES):
        seconds(stack, data)
    return used(stack) - before


def costly(stack: Stack, line: str, texts: list[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return the texts that take too long, each with its ratio to the harmless one.

    CPU time takes longer to measure, so it is measured only if all requests are slow by the clock.
    On a busy machine, single requests can be slow.
    """
    host = "" if "\nHost:" in line else "Host: localhost\r\n"

    def data(text: str) -> bytes:
        return f"{line.format(text)}\r\n{host}\r\n".encode()

    harmless = data(filled(HARMLESS, ""))
    quick = min(seconds(stack, harmless) for _ in range(TRIES))
    found = {}
    for text in texts:
        request = data(filled(*text))
        if all(seconds(stack, request) > MOST * quick for _ in range(TRIES)):
            # Three times, because a health check may run during one measurement.
            ratio = min(cost(stack, request) / cost(stack, harmless) for _ in range(3))
            if ratio > MOST:
                found[text] = ratio
    return found


@pytest.mark.parametrize("header", HEADERS)
def test_worst_text_in_a_header(stack: Stack, header: str):
    # Without Connection: close, to which a proxy would reduce the text in Connection.
    line = f"GET /health/live HTTP/1.1\r\n{header}: {{}}"
    assert costly(stack, line, TEXTS) == {}


@pytest.mark.parametrize("place", ["/{}", "/?{}", "/static/{}", "/static/style.css?{}"])
def test_worst_text_in_a_target(stack: Stack, place: str):
    line = f"GET {place} HTTP/1.1\r\nConnection: close"
    texts = [text for text in TEXTS if "".join(text).isprintable() and " " not in text[0]]
    assert costly(stack, line, texts) == {}
