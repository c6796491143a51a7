"""The same response to exceptions on every server, whatever their type and origin."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from werkzeug.exceptions import InternalServerError
from werkzeug.wsgi import ClosingIterator

from .logs import ResponseFailed, request_id

logger = logging.getLogger(__name__)


class Failures:
    """WSGI middleware that handles the exceptions that Flask leaves to the server.

    These are exceptions of generators and teardown functions, and those that are not subclasses of
    Exception. Servers differ in what they log and send, and on some of them SystemExit in a view
    ends the worker process.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.wsgi_app = app.wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.app.debug or self.app.testing:
            # The debugger or the test handles them.
            return self.wsgi_app(environ, start_response)
        # Choose it here, because other middleware may pass on a copy of environ.
        request_id(environ)
        started: list[Any] = []

        def start(*arguments: Any) -> Callable[[bytes], object]:
            # Wait for the first part of the body: until then, a failure can still become a 500.
            started[:] = arguments
            return lambda data: start_response(*started)(data)

        body: Iterable[bytes] = ()
        try:
            body = self.wsgi_app(environ, start)
            # Other bodies are files, which the server may send in its own way.
            if guarded := isinstance(body, ClosingIterator):
                # An empty part does not start the response (PEP 3333).
                first = next(filter(None, body), None)
                length = content_length(environ, *started)
                if length and first is None:
                    raise ValueError(f"Content-Length is {length}, but there is no body")
        except BaseException as error:
            # WebSocket libraries write to the socket themselves. This exception of some tells the
            # server so.
            if isinstance(error, StopIteration) and "HTTP_UPGRADE" in environ:
                raise
            log(environ)
            Parts(environ, body).close()
            return InternalServerError()(environ, start_response)
        # Others tell it in another way, and have not started a response.
        if started:
            start_response(*started)
        if not guarded:
            return body
        return Parts(environ, body, first, length)


def content_length(environ: WSGIEnvironment, status: str, headers: list[Any], *_: Any) -> int:
    """Return a response's Content-Length, or 0 if it has no body or no such header."""
    if environ["REQUEST_METHOD"] == "HEAD" or status.startswith("304"):
        return 0
    for name, value in headers:
        if name.lower() == "content-length" and value.isdecimal():
            return int(value)
    return 0


class Parts:
    """A response body. If it fails, the failure is logged and the response is cut off.

    A body that is shorter than its Content-Length is a failure. Some servers would keep the
    connection open, and the proxy would wait for the rest until it times out.
    """

    def __init__(
        self,
        environ: WSGIEnvironment,
        body: Iterable[bytes],
        first: bytes | None = None,
        length: int = 0,
    ) -> None:
        self.environ = environ
        self.body = body
        self.rest = iter(body)
        self.first = first
        self.missing = length - len(first or b"")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.first is not None:
            part, self.first = self.first, None
            return part
        try:
            part = next(self.rest)
            self.missing -= len(part)
            return part
        except StopIteration:
            if self.missing <= 0:
                raise
            logger.error(
                "The response to %s ends %s bytes short of its Content-Length",
                self.environ.get("PATH_INFO"),
                self.missing,
                extra={"request_id": request_id(self.environ)},
            )
        except BaseException:
            log(self.environ)
        raise ResponseFailed

    def close(self) -> None:
        """Close the body. Log exceptions: they do not change the response."""
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        except BaseException:
            log(self.environ)


def log(environ: WSGIEnvironment) -> None:
    """Log the current exception with the request id, in the format of Flask."""
    logger.exception(
        "Exception on %s [%s]",
        environ.get("PATH_INFO"),
        environ["REQUEST_METHOD"],
        extra={"request_id": request_id(environ)},
    )


def init_app(app: Flask) -> None:
    """Handle the exceptions that Flask leaves to the server."""
    app.wsgi_app = Failures(app)  # type: ignore[method-assign]
