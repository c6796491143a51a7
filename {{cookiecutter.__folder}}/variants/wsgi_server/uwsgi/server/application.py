"""The application for uWSGI, with corrections for which uWSGI has no setting."""
# ruff: noqa: E402 (the order of the imports matters)

import sys

# uWSGI sets it to a Python without the packages: https://github.com/unbit/uwsgi/issues/670
sys.executable = f"{sys.prefix}/bin/python"
# uWSGI's sys.stdout writes to standard error.
sys.stdout = sys.__stdout__ = open(1, "w", 1, "utf-8", closefd=False)  # noqa: SIM115

import os
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIEnvironment

import uwsgi
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import ClosingIterator


def open_files() -> dict[str, str]:
    """Return the target of each open file descriptor of this process, by number."""
    files = {}
    for file in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the folder itself, which is closed
            files[file.name] = str(file.readlink())
    return files


# Only uWSGI's sockets, because the application is not loaded yet.
SOCKETS = {number for number, file in open_files().items() if file.startswith("socket:")}

from {{ cookiecutter.package_name }}.logs import ResponseFailed
from {{ cookiecutter.package_name }}.wsgi import app


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Run the application."""
    # uWSGI blocks all signals in its threads. Processes that views start would inherit that:
    # SIGTERM would not end them, and a fork server would not notice the end of its processes.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The path as the client sent it: uWSGI resolves dot segments.
    path = environ["REQUEST_URI"].partition("?")[0]
    environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    # Only ProxyFix trusts headers, but uWSGI uses the scheme of X-Forwarded-Proto and -Ssl.
    environ["wsgi.url_scheme"] = "http"
    if "HTTP_TRANSFER_ENCODING" in environ:
        environ["wsgi.input"] = BufferedReader(Chunks())
        environ["wsgi.input_terminated"] = True
    body = app(environ, start_response)
    return ClosingIterator(whole_or_cut_off(body), getattr(body, "close", None))


def whole_or_cut_off(body: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the body. Cut the response off if it fails: uWSGI would end it as if it were whole."""
    try:
        for part in body:  # noqa: UP028 ("yield from" would close the body, as application() does)
            yield part
    except Exception as error:
        # Not uwsgi.disconnect(): uWSGI would still write to the file descriptor after it is closed,
        # which may then belong to another request.
        with socket.socket(fileno=os.dup(uwsgi.connection_fd())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        if not isinstance(error, ResponseFailed):
            raise


def close_stop_pipe() -> None:
    """Close a forked process's copy of the pipe with which uWSGI stops a worker's threads.

    uWSGI 2.0.31 closes the write end (core/uwsgi.c, gracefully_kill), but its threads do not notice
    this while another process has it open: a worker with a process pool would not stop. The pipe is
    the one that the threads watch together with uWSGI's sockets. The application's pipes stay open.
    """
    files = open_files()
    pipes = set()
    for number in [number for number, file in files.items() if file == "anon_inode:[eventpoll]"]:
        lines = Path(f"/proc/self/fdinfo/{number}").read_text(encoding="ascii").splitlines()
        watched = {line.split()[1] for line in lines if line.startswith("tfd:")}
        if watched & SOCKETS:
            pipes |= {files[each] for each in watched if files.get(each, "").startswith("pipe:")}
    for number, file in files.items():
        if file in pipes:
            os.close(int(number))


os.register_at_fork(after_in_child=close_stop_pipe)


class Chunks(RawIOBase):
    """A chunked request body, which uWSGI provides by chunked_read() and not by wsgi.input."""

    def __init__(self) -> None:
        self.rest = b""

    def readable(self) -> bool:
        """Return True, as BufferedReader requires."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from the current or the next chunk. Returns 0 at the end of the body."""
        try:
            self.rest = self.rest or uwsgi.chunked_read()
        except OSError as error:
            raise ClientDisconnected from error
        part, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
