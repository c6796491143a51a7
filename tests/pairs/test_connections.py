"""Connections are kept, closed and reused according to HTTP."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack


def test_pipelined_requests_get_responses_in_order(stack: Stack):
    with Raw(stack) as client:
        client.send(
            *(f"GET /probe/bytes/{size} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for size in (3, 1, 2))
        )
        assert [client.response().body for _ in range(3)] == [b"012", b"0", b"01"]


def test_a_thousand_requests_on_one_connection(stack: Stack):
    durations = []
    with Raw(stack) as client:
        for _ in range(1000):
            begun = time.monotonic()
            client.request("GET /health/live HTTP/1.1")
            assert client.response().status == 200
            durations.append(time.monotonic() - begun)
    # About 1 ms; 40 ms with delayed acknowledgements. A busy machine slows only some requests.
    assert median(durations) < 0.03


def accepted(stack: Stack) -> int:
    """Return how many connections the application's container has accepted so far.

    A group in /proc/net/snmp has two lines: names, then values.
    """
    text = stack.container("app").exec_run(["cat", "/proc/net/snmp"]).output.decode()
    names, values = [line.split() for line in text.splitlines() if line.startswith("Tcp: ")]
    return int(values[names.index("PassiveOpens")])


def test_connections_to_the_application_are_kept(stack: Stack):
    """Few requests open a new connection: each process of httpd has its own pool."""
    with Raw(stack) as client:
        for _ in range(2):
            before = accepted(stack)
            for _ in range(20):
                client.request("GET /probe/bytes/10 HTTP/1.1")
                assert client.response().status == 200
    assert accepted(stack) - before < 5


@contextmanager
def few_ports(stack: Stack, count: int) -> Iterator[None]:
    """Limit the proxy's source ports. This needs a privileged process."""

    def limit(first: int, last: int) -> None:
        file = "/proc/sys/net/ipv4/ip_local_port_range"
        stack.docker.containers.run(
            stack.container("app").image,
            entrypoint=["sh", "-c", f"echo {first} {last} > {file}"],
            network_mode=f"container:{stack.container('proxy').id}",
            privileged=True,
            user="0",
            remove=True,
        )

    limit(50_000, 50_000 + count - 1)
    try:
        yield
    finally:
        limit(32_768, 60_999)  # the kernel's default


@pytest.mark.destructive
def test_ports_of_ended_connections_are_used_again(stack: Stack):
    """By default, Linux reserves such a port for a minute (TIME-WAIT: RFC 9293, 3.6.1)."""
    ports = 40
    answered = 0
    with few_ports(stack, ports):
        ends = time.monotonic() + 60  # by default, at most twice the ports
        while answered < 8 * ports and time.monotonic() < ends:
            with Raw(stack) as client:
                client.request("GET /probe/bytes/10 HTTP/1.1", "Connection: close")
                answered += client.response().status == 200
    assert answered == 8 * ports


@pytest.mark.parametrize(
    ("version", "header", "kept"),
    [
        ("1.1", "Accept: */*", True),
        ("1.1", "Connection: close", False),
        ("1.1", "Connection: keep-alive, close", False),
        ("1.0", "Accept: */*", False),
        ("1.0", "Connection: keep-alive", True),
    ],
)
@pytest.mark.parametrize("path", ["/probe/bytes/10", "/static/style.css"])
def test_kept_or_closed(stack: Stack, path: str, version: str, header: str, kept: bool):
    with Raw(stack) as client:
        client.request(f"GET {path} HTTP/{version}", header)
        assert client.response().status == 200
        if kept:
            client.request(f"GET {path} HTTP/{version}", "Connection: close")
            assert client.response().status == 200
        assert client.closed()


def test_no_chunks_for_http_1_0(stack: Stack):
    with Raw(stack) as client:
        client.request("GET /probe/download/2 HTTP/1.0")
        response = client.response()
        assert "Transfer-Encoding" not in response.headers
        assert len(response.body) == 2 * 65536


@pytest.mark.parametrize("path", ["/probe/bytes/10", "/probe/slow/half-closed"])
def test_half_closed_client_gets_its_response(stack: Stack, path: str):
    with Raw(stack) as client:
        client.request(f"GET {path} HTTP/1.1", "Connection: close")
        client.socket.shutdown(1)  # SHUT_WR: the request is complete
        response = client.response()
        assert response.status == 200
        assert response.body in (b"0123456789", b"finished half-closed\n")


def test_clients_that_disconnect_do_not_affect_others(stack: Stack):
    for _ in range(20):
        with Raw(stack) as client:
            client.request("GET /probe/bytes/1000000 HTTP/1.1")
        with Raw(stack) as client:
            client.request("POST /probe/upload HTTP/1.1", "Content-Length: 100000", body=b"x" * 50)
    for _ in range(20):
        assert stack.get("/health/live").status_code == 200
