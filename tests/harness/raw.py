"""A client that sends given bytes, and reads responses one by one."""

import io
import socket
from http.client import HTTPResponse

from .stack import Stack
from .wire import Reply


class _Stream(io.BufferedReader):
    """What HTTPResponse reads from; several responses share it, so none of them may close it."""

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
        """Stand in for a socket, as far as HTTPResponse needs one."""
        return self.stream

    def send(self, *parts: bytes) -> None:
        """Send the parts as they are."""
        self.socket.sendall(b"".join(parts))

    def request(self, line: str, *headers: str, body: bytes = b"") -> None:
        """Send a request, with a Host."""
        head = "\r\n".join([line, "Host: localhost", *headers, "", ""])
        self.send(head.encode("latin-1"), body)

    def begin(self, method: str = "GET") -> HTTPResponse:
        """Read the head of the next response; its body can be read from what this returns."""
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return response

    def response(self, method: str = "GET") -> Reply:
        """Read the next response to its end.

        Raises http.client.IncompleteRead or OSError when there is no end.
        """
        response = self.begin(method)
        return Reply(response.status, response.headers, response.read())

    def closed(self) -> bool:
        """Wait for the other side to close; say whether it did so without sending more."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True
