"""eventlet: one process, a greenlet for each request. https://eventlet.readthedocs.io/

Legacy: upstream discourages new use and plans eventlet's retirement; move to gevent.
"""
# ruff: noqa: E402 (the order of the imports is the point)

import logging
import warnings

# The log is for the service: that eventlet is legacy stands in the README, and of the locks that it
# finds too late one always remains, which the threading module keeps for itself.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
logging.disable()

import eventlet

# A process that a view starts by spawn or forkserver imports this file again, and stays as it is.
if __name__ == "__main__":
    eventlet.monkey_patch()  # before anything else is imported, or it keeps the blocking parts
logging.disable(logging.NOTSET)

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from io import BufferedReader
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import eventlet.green.subprocess
import eventlet.wsgi
import greenlet
from eventlet.hubs import trampoline
from eventlet.wsgi import STATE_CLOSE, HeaderLineTooLong, HttpProtocol
from werkzeug.datastructures import Headers
from werkzeug.wsgi import ClosingIterator


def main() -> None:
    """Serve until a signal says to stop, then finish the requests in flight."""
    # Nothing is there to finish yet; by itself a container's first process would ignore it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    greenlet.settrace(keep_event_loop)
    BaseProcess.start = refuse  # type: ignore[method-assign]
    # eventlet uses copies of the module, whose exceptions a view would not catch:
    # https://github.com/eventlet/eventlet/issues/624
    green = eventlet.green.subprocess
    names = ("SubprocessError", "CalledProcessError", "TimeoutExpired")
    for copy in (vars(green), vars(green.subprocess_orig), green.run.__globals__):
        copy.update((name, getattr(subprocess, name)) for name in names)
    app = import_module("{{ cookiecutter.package_name }}.wsgi").app

    # The size of a header and their number, above what the proxy lets through and adds. Neither has
    # a setting: https://github.com/eventlet/eventlet/issues/749 and, about http.client, which reads
    # them, https://github.com/python/cpython/issues/131724
    eventlet.wsgi.MAX_HEADER_LINE = 32_768
    http.client._MAXHEADERS = 200

    # A signal handler cannot wake eventlet's hub, but a readable pipe can: Python writes to it.
    wakeup, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = eventlet.getcurrent()

    def stop_when_signalled() -> None:
        """Wait for a signal, then end the server's loop, which lets running requests finish."""
        trampoline(wakeup, read=True)
        eventlet.spawn_after(int(os.environ["GRACEFUL_TIMEOUT"]), os._exit, 0)
        eventlet.kill(server, SystemExit)

    eventlet.spawn(stop_when_signalled)
    eventlet.wsgi.server(
        listen(),
        within_length(app),
        protocol=Protocol,
        # Longer than the proxy keeps a connection, so that it never writes into one being closed.
        keepalive=75,
        socket_timeout=75,
        # Let bodies without a length end where their last chunk does.
        environ={"wsgi.input_terminated": True},
        # Send every part of a streamed answer at once.
        minimum_chunk_size=1,
        # The proxy's own limit comes first.
        url_length_limit=32_768,
        # The proxy or, with ACCESS_LOG, the application logs requests.
        # A client must not see a traceback.
        log_output=False,
        debug=False,
    )


def listen() -> socket.socket:
    """Return the socket that the server listens at."""
    if path := os.environ.get("UNIX_SOCKET"):
        listener = eventlet.listen(path, socket.AF_UNIX, backlog=1024)
        Path(path).chmod(0o666)  # whoever reaches its folder may connect
        return listener
    address = os.environ["LISTEN_ADDRESS"].strip("[]"), int(os.environ["PORT"])
    family = socket.AF_INET6 if address[0] == "::" else socket.AF_INET
    return eventlet.listen(address, family, backlog=1024)


# Of the greenlets that wait while their event loop runs: the loop and what belongs to it.
loops: dict[greenlet.greenlet, tuple] = {}


def keep_event_loop(_event: str, switch: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
    """Let each greenlet have an event loop of its own: asyncio knows one for each thread.

    https://github.com/pallets/flask/issues/5881
    """
    left, entered = switch
    if loop := asyncio._get_running_loop():
        task = asyncio.current_task(loop)
        loops[left] = loop, task, sys.get_asyncgen_hooks()
        if task:
            asyncio._leave_task(loop, task)
        sys.set_asyncgen_hooks(None, None)
        asyncio._set_running_loop(None)
    if entered in loops:
        loop, task, hooks = loops.pop(entered)
        asyncio._set_running_loop(loop)
        sys.set_asyncgen_hooks(*hooks)
        if task:
            asyncio._enter_task(loop, task)


def refuse(_process: BaseProcess) -> NoReturn:
    """Say at once what would otherwise hang, with all requests of this process.

    https://github.com/eventlet/eventlet/issues/147
    """
    raise RuntimeError("multiprocessing does not work on eventlet: use subprocess or a task queue")


class HeaderLines:
    """The lines of a request's headers, none with a lone CR (RFC 9112, 2.2).

    Python's parser would read two headers where there is one.
    """

    def __init__(self, file: BufferedReader) -> None:
        self.file = file

    def readline(self, size: int = -1) -> bytes:
        """Read a line; eventlet responds to this exception with 400."""
        line = self.file.readline(size)
        if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
            raise HeaderLineTooLong
        return line


class Protocol(HttpProtocol):
    """eventlet's own, with three corrections."""

    def parse_request(self) -> bool:
        self.rfile = HeaderLines(self.rfile)
        return super().parse_request()

    def get_environ(self) -> dict[str, object]:
        environ = super().get_environ()
        # eventlet says text/plain where a request has no Content-Type.
        if "Content-Type" not in self.headers:
            del environ["CONTENT_TYPE"]
        return environ

    def _read_request_line(self) -> bytes:
        # None of a connection that was shut before: nobody could get its answer.
        line = super()._read_request_line()
        return b"" if self.conn_state[2] == STATE_CLOSE else line


def within_length(app: WSGIApplication) -> WSGIApplication:
    """Return the application, which sends no more of a body than its Content-Length says.

    The proxy would read the rest as the next response, which can be another client's.
    """

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        left = sys.maxsize

        def start(
            status: str, headers: list[tuple[str, str]], *more: Any
        ) -> Callable[[bytes], object]:
            nonlocal left
            left = Headers(headers).get("Content-Length", sys.maxsize, int)
            return start_response(status, headers, *more)

        def parts() -> Iterator[bytes]:
            nonlocal left
            for part in body:
                yield part[:left]
                left -= min(left, len(part))

        body = app(environ, start)
        return ClosingIterator(parts(), getattr(body, "close", None))

    return wsgi_app


if __name__ == "__main__":
    main()
