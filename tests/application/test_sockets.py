"""With WEBSOCKETS=on, a view may be a WebSocket.

A view that uses one of these libraries takes the connection from the server, which WSGI does not
describe: some servers give it to the application, the others cannot.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import socketio
from websocket import (
    ABNF,
    WebSocket,
    WebSocketConnectionClosedException,
    WebSocketTimeoutException,
    create_connection,
)

from tests.lib.raw_http import exchange
from tests.lib.stack import Stack
from tests.lib.template import FACTS, PAIRS, Pair
from tests.pairs.request_recorder import gateway, request

SMALL = ["one", "Grüße, 世界", b"", bytes(range(256))]
LARGE = ["ß" * 500_000, bytes(range(250)) * 4_000]
# The pairs whose server gives the application the connection.
CAPABLE = [pair for pair in PAIRS if FACTS["_servers"][pair.server]["websocket"]]
GREENLETS = [pair for pair in CAPABLE if FACTS["_servers"][pair.server]["greenlets"]]
SETTINGS = {
    "REQUEST_TIMEOUT": "3",
    "GRACEFUL_TIMEOUT": "3",
    "CONNECTIONS_PER_CLIENT": "1000",
}


@contextmanager
def connected(stack: Stack, path: str = "/sockets/echo", **arguments) -> Iterator[WebSocket]:
    """Open a socket, and close it in the end."""
    arguments = {"timeout": 10} | arguments
    socket = create_connection(f"ws://127.0.0.1:{stack.port}{path}", **arguments)
    try:
        yield socket
        socket.close()
    finally:
        # close() keeps the connection of a socket that the server has closed.
        socket.shutdown()


def echo(socket: WebSocket, message: str | bytes) -> str | bytes:
    """Send a message; return the next one."""
    socket.send(message, ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY)
    return socket.recv()


def check_flask_sock(stack: Stack, messages: list[str | bytes]) -> None:
    with connected(stack) as socket:
        assert [echo(socket, message) == message for message in messages] == [True] * len(messages)


def check_socketio(stack: Stack, messages: list[str | bytes]) -> None:
    with socketio.SimpleClient() as client:
        client.connect(stack.url, transports=["websocket"], wait_timeout=10)
        assert client.transport == "websocket"
        # A megabyte takes a second or two of CPU time on some servers.
        found = [client.call("echo", message, timeout=60) == message for message in messages]
    assert found == [True] * len(messages)


def test_flask_sock(stack: Stack):
    """flask-sock: text and binary messages."""
    check_flask_sock(stack, SMALL)


def test_flask_sock_large(stack: Stack):
    """flask-sock: messages of a megabyte."""
    check_flask_sock(stack, LARGE)


def test_socketio(stack: Stack):
    """Flask-SocketIO over a WebSocket: text and binary messages."""
    check_socketio(stack, SMALL)


def test_socketio_large(stack: Stack):
    """Flask-SocketIO over a WebSocket: messages of a megabyte."""
    check_socketio(stack, LARGE)


def test_client(stack: Stack):
    """The client's real address, scheme and host, and the request id of the access log."""
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Request-ID": "forged",
    }
    browser = "Connection: keep-alive, Upgrade"  # as Firefox sends it
    with connected(stack, "/sockets/client", header=forged, connection=browser) as socket:
        *facts, request_id = [socket.recv() for _ in range(4)]
        assert socket.recv() == ""  # closed
    assert facts == [gateway(stack), "http", f"127.0.0.1:{stack.port}"]
    (logged,) = stack.logged("proxy", request_id)
    assert (logged["status"], logged["uri"]) == (101, "/sockets/client")
    assert "Exception on /sockets/client" not in stack.container("app").logs().decode()


def test_close(stack: Stack):
    """Sockets that the view closes, without a pause if the client keeps its side open."""
    began = time.monotonic()
    with ExitStack() as sockets:
        for _ in range(20):
            socket = sockets.enter_context(connected(stack, "/sockets/client"))
            while socket.recv():
                pass
        assert time.monotonic() - began < 5


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET / HTTP/1.1", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket, h2c"]),
        ("GET / HTTP/1.1", [*UPGRADE, "Upgrade: h2c"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket2"]),
        ("GET / HTTP/1.1", ["Upgrade: websocket"]),
        ("GET / HTTP/1.1", ["Connection: x-upgrade", "Upgrade: websocket"]),
        ("GET / HTTP/1.0", UPGRADE),
        ("POST / HTTP/1.1", [*UPGRADE, "Content-Length: 0"]),
    ],
    ids=["h2c", "and-h2c", "h2c-too", "other", "no-connection", "like-it", "http-1.0", "post"],
)
def test_other_upgrades(stack: Stack, line: str, headers: list[str]):
    """No other upgrades: these are ordinary requests."""
    line = line.replace("/", "/sockets/headers", 1)
    headers = [*headers, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    (reply,) = exchange(stack.port, request(*headers, line=line), wait=0.5).replies
    assert reply.status == 200
    assert "Upgrade" not in reply.json()
    assert "upgrade" not in reply.json().get("Connection", "").replace("x-upgrade", "")


@pytest.fixture(scope="module")
def short(stack: Stack) -> Iterator[Stack]:
    """Run the stack with short limits of time, and with its own ones after the tests."""
    with pytest.MonkeyPatch.context() as environ:
        for name, value in SETTINGS.items():
            environ.setenv(name, value)
        stack.start()
        yield stack
    stack.start()


@pytest.mark.destructive
@pytest.mark.pairs(CAPABLE)
def test_idle(short: Stack):
    """A socket that is idle for longer than REQUEST_TIMEOUT."""
    with connected(short, timeout=5) as socket:
        assert echo(socket, "one") == "one"
        with pytest.raises(WebSocketTimeoutException):
            socket.recv()
        assert echo(socket, "two") == "two"


@pytest.mark.destructive
@pytest.mark.pairs(GREENLETS)
def test_open_sockets(short: Stack, pair: Pair):
    """Open sockets while pages are served: 500, or 100 if the proxy has a thread for each."""
    limited = "CONNECTIONS_PER_CLIENT" in FACTS["_proxies"][pair.proxy]["settings"]
    with ExitStack() as stack:
        sockets = []
        for number in range(500 if limited else 100):
            sockets.append(stack.enter_context(connected(short)))
            if number % 10 == 0:
                assert short.get("/").status_code == 200
        for number, socket in enumerate(sockets):
            assert echo(socket, str(number)) == str(number)


@pytest.mark.destructive
@pytest.mark.pairs(CAPABLE)
@pytest.mark.parametrize("services", ["", "app"], ids=["all", "app"])
def test_stop_with_open_sockets(short: Stack, restored: Stack, services: str):
    """Sockets are closed within GRACEFUL_TIMEOUT at a shutdown, and at a release."""
    with connected(short, timeout=30) as socket:
        assert echo(socket, "one") == "one"
        began = time.monotonic()
        short.compose(f"stop {services}")
        # Some proxies take ten seconds at least.
        assert time.monotonic() - began < 18
        assert not is_open(socket)
    for service in [services] if services else ["proxy", "app"]:
        assert short.container(service).attrs["State"]["ExitCode"] == 0


def is_open(socket: WebSocket) -> bool:
    """Return whether a socket is still open, after the messages that it has received."""
    try:
        return bool(socket.recv())
    except (OSError, WebSocketConnectionClosedException):
        return False
