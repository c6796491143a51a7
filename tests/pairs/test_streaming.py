"""Streams: parts are sent at once, a disconnect ends them, and interruptions are visible."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import IncompleteRead, RemoteDisconnected
from uuid import uuid4

import pytest
import requests

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack, wait_until


def read_event(response) -> bytes:
    event = response.readline()
    assert response.readline() in (b"\n", b"")
    return event


@pytest.mark.smoke
def test_events_arrive_one_by_one(stack: Stack):
    """Each event is created only after the previous one has arrived."""
    assert_each_event_arrives(stack)


def test_events_of_a_known_length_arrive_one_by_one(stack: Stack):
    length = 5 * len("data: 0\n\n")
    assert_each_event_arrives(stack, query=f"?length={length}")


def assert_each_event_arrives(stack: Stack, query: str = "") -> None:
    name = uuid4().hex
    with Raw(stack) as client:
        client.request(f"GET /probe/stream/{name}{query} HTTP/1.1")
        response = client.begin()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        # The application's headers for the proxy are not sent to the client.
        assert response.headers["X-Accel-Buffering"] is None
        for number in range(5):
            assert read_event(response) == f"data: {number}\n".encode()
            stack.request("PUT", f"/probe/marks/{name}")
        assert response.read() == b""


def test_first_event_is_quick(stack: Stack):
    begun = time.monotonic()
    with Raw(stack) as client:
        client.request(f"GET /probe/endless/{uuid4().hex} HTTP/1.1")
        assert read_event(client.begin()) == b"data: 0\n"
    assert time.monotonic() - begun < 1


def test_generator_ends_when_the_client_leaves(stack: Stack):
    name = uuid4().hex
    with Raw(stack) as client:
        client.request(f"GET /probe/endless/{name} HTTP/1.1")
        assert read_event(client.begin()) == b"data: 0\n"
        assert stack.get(f"/probe/marks/{name}").text == ""
    wait_until(lambda: stack.get(f"/probe/marks/{name}").text == "closed", timeout=5)


@pytest.mark.parametrize("kind", ["early", "late", "length", "short"])
def test_interrupted_response_is_visible_to_the_client(stack: Stack, kind: str):
    with Raw(stack, timeout=3) as client:
        client.request(f"GET /probe/broken/{kind} HTTP/1.1")
        try:
            response = client.response()
        except (IncompleteRead, RemoteDisconnected, ConnectionResetError):
            return
    # If nothing has been sent yet, the proxy can still send an error status.
    assert response.status in (500, 502)


def test_interrupted_response_shows_no_internals(stack: Stack):
    with Raw(stack) as client:
        client.request("GET /probe/broken/early HTTP/1.1", "Connection: close")
        assert b"Traceback" not in client.stream.read()


def test_interrupted_responses_do_not_affect_others(stack: Stack):
    """Each reader gets the response to its own request, while others are cut off."""

    def ask(number: int) -> bool:
        if number % 2:
            with suppress(requests.RequestException):
                requests.get(f"{stack.url}/probe/broken/early", timeout=3)
            return True
        response = requests.get(f"{stack.url}/probe/download/4", timeout=9)
        return response.status_code == 200 and response.content == expected(4)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(120)))


def expected(pieces: int) -> bytes:
    return b"".join(bytes([number % 251]) * 65536 for number in range(pieces))


def test_large_download(stack: Stack):
    assert stack.get("/probe/download/320").content == expected(320)


def test_slow_reader_gets_the_whole_response(stack: Stack):
    """The response (10 MB) is larger than all buffers; other clients are served meanwhile."""
    with Raw(stack) as client:
        client.request("GET /probe/download/160 HTTP/1.1")
        response = client.begin()
        first = response.read(1000)
        for _ in range(10):
            assert stack.get("/health/live").status_code == 200
        assert first + response.read() == expected(160)


def test_slow_readers_do_not_block_others(stack: Stack):
    """More slow readers than the application has threads do not block other clients."""
    clients = [Raw(stack) for _ in range(12)]
    try:
        for client in clients:
            client.request("GET /probe/download/32 HTTP/1.1")
        for client in clients:
            client.begin()
        assert stack.get("/health/live", timeout=5).status_code == 200
    finally:
        for client in clients:
            client.socket.close()
