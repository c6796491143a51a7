"""Read request bodies to the end before responding, and files through their own methods."""

from collections.abc import Callable, Iterable
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import FileWrapper, LimitedStream, get_input_stream


class LimitedBody(LimitedStream):
    """A request body that raises 413 if more follows when the limit has been read.

    Flask would stop reading at the limit and treat a longer chunked body as complete.
    """

    def readinto(self, b: bytearray) -> int | None:  # type: ignore[override]
        size = super().readinto(b)
        if self.is_exhausted and self._stream.read(1):
            self.on_exhausted()
        return size


class FileReader(FileWrapper):
    """A file that a view sends, read through its own methods.

    Servers' wrappers send the underlying file instead: the wrong part if the view has read some of
    it, the compressed bytes of a gzip file. Some read line by line, whatever a line's length.
    """

    def __init__(self, file: IO[bytes], _: int = 0) -> None:
        # Larger parts than Werkzeug's 8 KB, with which some servers take three times as long.
        super().__init__(file, 64 * 1024)


class DrainBody:
    """WSGI middleware that reads the rest of a request's body before the response starts.

    Views may respond without reading the body, and error handlers do. Some servers then close the
    connection while the proxy is still sending, and the client gets 502 instead of the response.
    This does not wait: the proxy has limited the size of the body and received it completely.
    """

    def __init__(self, app: WSGIApplication, limit: int) -> None:
        self.app = app
        self.limit = limit

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = get_input_stream(environ)
        # A copy: a server may compare the response with the file wrapper in its own environ.
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
                pass  # nobody receives the response
            return start_response(*arguments)

        return self.app(environ, drain_and_start)
