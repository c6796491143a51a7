"""A client that sends given bytes, and reads responses one by one."""

import io
import socket
from http.client import HTTPResponse

from .stack import Stack
from .wire import Reply


class _Stream(io.BufferedReader):
    """The stream of HTTPResponse; several responses share it, so close() does nothing."""

    def close(self) -> None:
        pass


class Raw:
    """One connection to a stack's proxy."""

    def __init__(self, stack: Stack, *, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", stack.port), timeout)
        self.stream = _Stream(socket.SocketIO(self.socket, "r"))

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
