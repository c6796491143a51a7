"""Read every request body to its end before answering."""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream, get_input_stream


class LimitedBody(LimitedStream):
    """A body that is refused with 413 once as much was read as may be, and there is more.

    Flask by itself reads no further, and takes what it has for the whole of a chunked body.
    """

    def readinto(self, b: bytearray) -> int | None:  # type: ignore[override]
        size = super().readinto(b)
        if self.is_exhausted and self._stream.read(1):
            self.on_exhausted()
        return size


class DrainBody:
    """WSGI middleware that leaves nothing of a request's body unread.

    A view may answer without looking at the body, an error handler surely does. Some servers then
    close the connection on what the proxy is still sending, and the client sees 502 instead of the
    answer. The proxy has limited the body and read it whole, so that the rest is here already.
    """

    def __init__(self, app: WSGIApplication, limit: int) -> None:
        self.app = app
        self.limit = limit

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = get_input_stream(environ)
        environ["wsgi.input"] = LimitedBody(body, self.limit, is_max=True)
        environ["wsgi.input_terminated"] = True

        def drain_and_start(*arguments: Any) -> Callable[[bytes], object]:
            try:
                while body.read(64 * 1024):
                    pass
            except ClientDisconnected:
                pass  # nobody is left to answer
            return start_response(*arguments)

        return self.app(environ, drain_and_start)
