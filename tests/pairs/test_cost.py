"""Text that a client chooses is read in linear time, by the proxy and by the application.

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
# The quickest of several counts: the rest is other work of the machine.
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


def cheapest(stack: Stack, data: bytes) -> float:
    """Return the seconds that the quickest of several such requests took."""
    found = []
    for _ in range(TRIES):
        with Raw(stack) as client:
            began = time.perf_counter()
            client.send(data)
            client.begin()
            found.append(time.perf_counter() - began)
    return min(found)


def compare(stack: Stack, line: str, part: str, end: str) -> float:
    """Return how many times as long as with harmless text such a request takes."""

    def seconds(text: str) -> float:
        host = "" if line.lower().find("\nhost:") >= 0 else "Host: localhost\r\n"
        return cheapest(stack, f"{line.format(text)}\r\n{host}\r\n".encode())

    return seconds(filled(part, end)) / seconds(filled(HARMLESS, ""))


@pytest.mark.parametrize("header", HEADERS)
def test_worst_text_in_a_header(stack: Stack, header: str):
    line = f"GET /health/live HTTP/1.1\r\nConnection: close\r\n{header}: {{}}"
    slow = {text: compare(stack, line, *text) for text in TEXTS}
    assert {text: times for text, times in slow.items() if times > MOST} == {}


@pytest.mark.parametrize("place", ["/{}", "/?{}", "/static/{}", "/static/style.css?{}"])
def test_worst_text_in_a_target(stack: Stack, place: str):
    line = f"GET {place} HTTP/1.1\r\nConnection: close"
    texts = [text for text in TEXTS if "".join(text).isprintable() and " " not in text[0]]
    slow = {text: compare(stack, line, *text) for text in texts}
    assert {text: times for text, times in slow.items() if times > MOST} == {}
