"""Read every request body to its end before responding, and files by their own methods."""

from collections.abc import Callable, Iterable
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import FileWrapper, LimitedStream, get_input_stream


class LimitedBody(LimitedStream):
    """A body that is refused with 413 once as much was read as may be, and there is more.

    Flask by itself reads no further, and takes what it has for the whole of a chunked body.
    """

    def readinto(self, b: bytearray) -> int | None:  # type: ignore[override]
        size = super().readinto(b)
        if self.is_exhausted and self._stream.read(1):
            self.on_exhausted()
        return size


class FileReader(FileWrapper):
    """A file that a view sends, read by its own methods.

    Servers' own wrappers send the file below it: the wrong part where the view has read some, the
    packed bytes of a gzip file. Some read by lines, of any length.
    """

    def __init__(self, file: IO[bytes], _: int = 0) -> None:
        # Larger pieces than Werkzeug's of 8 KB, which take some servers three times as long.
        super().__init__(file, 64 * 1024)


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
        # A copy: a server may compare the response with the wrapper in its own.
        environ = environ | {
            "wsgi.input": LimitedBody(body, self.limit, is_max=True),
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileReader,
        }

        def drain_and_start(*arguments: Any) -> Callable[[bytes], object]:
            try:
                while body.read(64 * 1024):
                    pass
            except ClientDisconnected:
                pass  # nobody is left to answer
            return start_response(*arguments)

        return self.app(environ, drain_and_start)
