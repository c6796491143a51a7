"""The proxy and the application read text from clients in linear time.

Each text makes a pattern with nested or adjacent repetitions backtrack. The time is compared with
that of a harmless text of the same size in the same header, so the machine's speed does not matter.
"""

import time
from itertools import cycle, islice

import pytest

from tests.harness.raw import Raw
from tests.harness.stack import Stack

# Just below the limit of a header's size.
SIZE = 16_000
HARMLESS = "abcdefghij"
# How much longer than the harmless text one may take.
MOST = 3
# Requests whose CPU time is compared.
TRIES = 5

# Where a proxy's or the application's patterns are applied to a client's text.
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

# A part that is repeated up to the size, and what the text ends with.
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
    """Return a text of the full size."""
    return "".join(islice(cycle(part), SIZE - len(end))) + end


def seconds(stack: Stack, data: bytes) -> float:
    """Return how long a request takes until its response begins."""
    with Raw(stack) as client:
        began = time.perf_counter()
        client.send(data)
        client.begin()
        return time.perf_counter() - began


def used(stack: Stack) -> int:
    """Return the nanoseconds of CPU time that the stack's containers have used so far."""
    counted = (
        stack.docker.api.stats(stack.container(service).id, stream=False, one_shot=True)
        for service in ("app", "proxy")
    )
    return sum(stats["cpu_stats"]["cpu_usage"]["total_usage"] for stats in counted)


def cost(stack: Stack, data: bytes) -> int:
    """Return the CPU time of some such requests, whatever else the machine does."""
    before = used(stack)
    for _ in range(TRIES):
        seconds(stack, data)
    return used(stack) - before


def costly(stack: Stack, line: str, texts: list[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return the texts that cost more than they may, each with its ratio to the harmless one.

    CPU time, which takes longer to measure, is only measured where the clock always says slow: on a
    busy machine it sometimes does.
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
            # Three times, since a health check may fall into one.
            ratio = min(cost(stack, request) / cost(stack, harmless) for _ in range(3))
            if ratio > MOST:
                found[text] = ratio
    return found


@pytest.mark.parametrize("header", HEADERS)
def test_worst_text_in_a_header(stack: Stack, header: str):
    line = f"GET /health/live HTTP/1.1\r\nConnection: close\r\n{header}: {{}}"
    assert costly(stack, line, TEXTS) == {}


@pytest.mark.parametrize("place", ["/{}", "/?{}", "/static/{}", "/static/style.css?{}"])
def test_worst_text_in_a_target(stack: Stack, place: str):
    line = f"GET {place} HTTP/1.1\r\nConnection: close"
    texts = [text for text in TEXTS if "".join(text).isprintable() and " " not in text[0]]
    assert costly(stack, line, texts) == {}
