"""Sends bytes that no HTTP library would send, to the proxy's published port or a container."""

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One well-framed response, read to its end."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)


@dataclass
class Exchange:
    """What came back: the well-framed responses in order, and what was left after them."""

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
    """Send ``data`` on a new connection, and return what comes until the other side closes it.

    It is sent at once, or in pieces of so many bytes, each of which the other side reads alone.

    ``methods`` are those of the requests, where it matters: a response to HEAD has no body. Where
    nothing comes for ``wait`` seconds the sending half is closed, and after as long again the rest.
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
    """Return all that comes back, and whether the other side closed the connection by itself."""
    received = bytearray()
    half_closed = False
    with socket.create_connection(address, timeout=wait) as connection:
        with suppress(OSError):  # refused before it was sent whole: the response says why
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


class _Stream(BytesIO):
    """Bytes in the place of a socket, for http.client to read response after response from."""

    def makefile(self, mode: str) -> "_Stream":
        return self

    def close(self) -> None:
        """Stay open: HTTPResponse closes its file at each response's end."""
