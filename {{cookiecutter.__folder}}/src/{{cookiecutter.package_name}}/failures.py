"""The same response to an exception of any kind, raised anywhere, on every server."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from werkzeug.exceptions import InternalServerError
from werkzeug.wsgi import ClosingIterator

from .logs import ResponseFailed

logger = logging.getLogger(__name__)


class Failures:
    """WSGI middleware that handles the exceptions that Flask leaves to the server.

    These are what a generator or a teardown function raises, and what is no Exception: servers
    differ in what they log and send, and SystemExit in a view ends the worker process of some.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.wsgi_app = app.wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.app.debug or self.app.testing:
            # For the debugger, or the test.
            return self.wsgi_app(environ, start_response)
        started: list[Any] = []

        def start(*arguments: Any) -> Callable[[bytes], object]:
            # Held back: until the body's first part is here, a failure can still become a 500.
            started[:] = arguments
            return lambda data: start_response(*started)(data)

        body: Iterable[bytes] = ()
        try:
            body = self.wsgi_app(environ, start)
            # Others are files, which a server sends by itself.
            if guarded := isinstance(body, ClosingIterator):
                # An empty part sends nothing yet (PEP 3333).
                first = next(filter(None, body), None)
                length = announced(environ, *started)
                if length and first is None:
                    raise ValueError(f"Content-Length is {length}, but there is no body")
        except BaseException:
            log(environ)
            Parts(environ, body).close()
            return InternalServerError()(environ, start_response)
        start_response(*started)
        if not guarded:
            return body
        return Parts(environ, body, first, length)


def announced(environ: WSGIEnvironment, status: str, headers: list[Any], *_: Any) -> int:
    """Return how many bytes of body a response announces, 0 where it has none or does not say."""
    if environ["REQUEST_METHOD"] == "HEAD" or status.startswith("304"):
        return 0
    for name, value in headers:
        if name.lower() == "content-length" and value.isdecimal():
            return int(value)
    return 0


class Parts:
    """A body whose failure is logged, and cuts the response off.

    A body that is shorter than announced is a failure: some servers would keep the connection, on
    which the proxy waits for the rest until it gives up.
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
                extra={"request_id": self.environ.get("request_id", "")},
            )
        except BaseException:
            log(self.environ)
        raise ResponseFailed

    def close(self) -> None:
        """Close the body; what that raises changes nothing for the client."""
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        except BaseException:
            log(self.environ)


def log(environ: WSGIEnvironment) -> None:
    """Log the exception that is being handled, with its request's id, as Flask logs others."""
    logger.exception(
        "Exception on %s [%s]",
        environ.get("PATH_INFO"),
        environ["REQUEST_METHOD"],
        extra={"request_id": environ.get("request_id", "")},
    )


def init_app(app: Flask) -> None:
    """Handle what Flask leaves to the server."""
    app.wsgi_app = Failures(app)  # type: ignore[method-assign]
