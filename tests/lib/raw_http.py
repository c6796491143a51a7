"""A raw HTTP client: sends bytes that no HTTP library would send, and reads the responses."""

import io
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import Any

from .stack import Stack


@dataclass(frozen=True)
class Reply:
    """One correctly framed, complete response."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the parsed JSON body."""
        return json.loads(self.body)


@dataclass
class Exchange:
    """The received data: the correctly framed responses in order, and the bytes after them."""

    replies: list[Reply] = field(default_factory=list)
    rest: bytes = b""
    closed: bool = False

    @property
    def statuses(self) -> list[int]:
        """The responses' statuses, in order."""
        return [reply.status for reply in self.replies]


def exchange(
    port: int,
    data: bytes,
    *,
    host: str = "127.0.0.1",
    methods: tuple[str, ...] = (),
    wait: float = 3,
    piece: int | None = None,
) -> Exchange:
    """Send ``data`` on a new connection, and return the responses until the peer closes it.

    ``data`` is sent at once, or in pieces of ``piece`` bytes, which the peer reads one by one.

    ``methods`` are the requests' methods, needed for HEAD, whose response has no body. After
    ``wait`` seconds without data the sending half is closed; after ``wait`` more, the connection.
    """
    raw, closed = _talk((host, port), data, wait, piece or len(data) or 1)
    found = Exchange(closed=closed)
    stream = _Stream(raw)
    while (start := stream.tell()) < len(raw):
        response = HTTPResponse(stream, method=(*methods[len(found.replies) :], "GET")[0])  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read()
        except (HTTPException, ValueError):
            found.rest = raw[start:]
            break
        found.replies.append(Reply(response.status, response.headers, body))
    return found


def _talk(address: tuple[str, int], data: bytes, wait: float, piece: int) -> tuple[bytes, bool]:
    """Return all received bytes, and whether the peer closed the connection first."""
    received = bytearray()
    half_closed = False
    with socket.create_connection(address, timeout=wait) as connection:
        with suppress(OSError):  # rejected before all was sent: the response has the reason
            for start in range(0, len(data), piece):
                if start:
                    time.sleep(0.01)
                connection.sendall(data[start : start + piece])
        while True:
            try:
                part = connection.recv(65536)
            except TimeoutError:
                if half_closed:
                    return bytes(received), False
                half_closed = True
                connection.shutdown(socket.SHUT_WR)
                continue
            except ConnectionResetError:
                part = b""
            if not part:
                return bytes(received), not half_closed
            received += part


class _Stream(io.BytesIO):
    """Bytes that replace a socket, from which http.client reads several responses."""

    def makefile(self, mode: str) -> "_Stream":
        return self

    def close(self) -> None:
        """Do nothing: HTTPResponse closes its file at the end of each response."""


class _SharedStream(io.BufferedReader):
    """The stream of HTTPResponse; several responses share it, so close() does nothing."""

    def close(self) -> None:
        pass


class Raw:
    """One connection to a stack's proxy."""

    def __init__(self, stack: Stack, *, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", stack.port), timeout)
        self.stream = _SharedStream(socket.SocketIO(self.socket, "r"))

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the stream: the only socket method that HTTPResponse needs."""
        return self.stream

    def send(self, *parts: bytes) -> None:
        """Send the parts unchanged."""
        self.socket.sendall(b"".join(parts))

    def request(self, line: str, *headers: str, body: bytes = b"") -> None:
        """Send a request with a Host header."""
        head = "\r\n".join([line, "Host: localhost", *headers, "", ""])
        self.send(head.encode("latin-1"), body)

    def begin(self, method: str = "GET") -> HTTPResponse:
        """Read the head of the next response; the body can be read from the returned object."""
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return response

    def response(self, method: str = "GET") -> Reply:
        """Read the whole next response.

        Raises http.client.IncompleteRead or OSError when it is incomplete.
        """
        response = self.begin(method)
        return Reply(response.status, response.headers, response.read())

    def closed(self) -> bool:
        """Return whether the peer closes the connection without sending more data."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True
