"""eventlet: one process, a greenlet for each request. https://eventlet.readthedocs.io/

Legacy: upstream discourages new use and plans to retire eventlet. Move to gevent.
"""
# ruff: noqa: E402 (the order of the imports matters)

import logging
import warnings

# Two messages at each start: that eventlet is legacy, as the README says, and that it cannot patch
# a lock, which belongs to the threading module.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
logging.disable()

import eventlet

# Processes that views start by spawn or forkserver import this file again and are not patched.
if __name__ == "__main__":
    eventlet.monkey_patch()  # before other imports, which would keep blocking functions
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
    """Serve until a stop signal, then finish in-flight requests."""
    greenlet.settrace(keep_event_loop)
    BaseProcess.start = refuse  # type: ignore[method-assign]
    # eventlet uses copies of this module, with exceptions that a view would not catch:
    # https://github.com/eventlet/eventlet/issues/624
    green = eventlet.green.subprocess
    names = ("SubprocessError", "CalledProcessError", "TimeoutExpired")
    for copy in (vars(green), vars(green.subprocess_orig), green.run.__globals__):
        copy.update((name, getattr(subprocess, name)) for name in names)
{%- if cookiecutter.database == "postgresql" %}
    # By default psycopg waits in C, which would block all requests of this process.
    # https://github.com/psycopg/psycogreen/issues/9
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_selector")
{%- endif %}
    app = import_module("{{ cookiecutter.package_name }}.wsgi").app

    # The size and number of headers, higher than the proxy's limits. There are no settings:
    # https://github.com/eventlet/eventlet/issues/749 and, for http.client, which reads them,
    # https://github.com/python/cpython/issues/131724
    eventlet.wsgi.MAX_HEADER_LINE = 32_768
    http.client._MAXHEADERS = 200

    # A signal handler cannot wake eventlet's hub. A pipe can, to which Python writes on a signal.
    wakeup, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = eventlet.getcurrent()

    def stop_when_signalled() -> None:
        """Wait for a signal, then end the server's loop, which finishes in-flight requests."""
        trampoline(wakeup, read=True)
        eventlet.spawn_after(int(os.environ["GRACEFUL_TIMEOUT"]), os._exit, 0)
        eventlet.kill(server, SystemExit)

    eventlet.spawn(stop_when_signalled)
    eventlet.wsgi.server(
        listen(),
        within_length(app),
        protocol=Protocol,
        # Longer than the proxy keeps idle connections, so that it does not send on a closing one.
        keepalive=75,
        socket_timeout=75,
        # Bodies without a length end with their last chunk.
        environ={"wsgi.input_terminated": True},
        # Send every part of a stream at once.
        minimum_chunk_size=1,
        # Higher than the proxy's limit.
        url_length_limit=32_768,
        # The proxy or, with ACCESS_LOG, the application logs requests.
        # Do not send tracebacks to clients.
        log_output=False,
        debug=False,
    )


def listen() -> socket.socket:
    """Return the listening socket."""
    if path := os.environ.get("UNIX_SOCKET"):
        listener = eventlet.listen(path, socket.AF_UNIX, backlog=1024)
        Path(path).chmod(0o666)  # its folder's permissions control access
        return listener
    address = os.environ["LISTEN_ADDRESS"].strip("[]"), int(os.environ["PORT"])
    family = socket.AF_INET6 if address[0] == "::" else socket.AF_INET
    return eventlet.listen(address, family, backlog=1024)


# The event loop, its current task and its hooks, by greenlet that waits while its loop runs.
loops: dict[greenlet.greenlet, tuple] = {}


def keep_event_loop(_event: str, switch: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
    """Give each greenlet its own event loop, because asyncio supports only one per thread.

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
    """Raise an error instead of blocking all requests of this process.

    https://github.com/eventlet/eventlet/issues/147
    """
    raise RuntimeError("multiprocessing does not work on eventlet: use subprocess or a task queue")


class HeaderLines:
    """Reads the header lines of a request, and rejects those with a lone CR (RFC 9112, 2.2).

    Python's parser would split such a header into two.
    """

    def __init__(self, file: BufferedReader) -> None:
        self.file = file

    def readline(self, size: int = -1) -> bytes:
        """Read a line. eventlet responds with 400 to this exception."""
        line = self.file.readline(size)
        if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
            raise HeaderLineTooLong
        return line


class Protocol(HttpProtocol):
    """eventlet's protocol with three corrections."""

    def parse_request(self) -> bool:
        self.rfile = HeaderLines(self.rfile)
        return super().parse_request()

    def get_environ(self) -> dict[str, object]:
        environ = super().get_environ()
        # eventlet uses text/plain for requests without a Content-Type.
        if "Content-Type" not in self.headers:
            del environ["CONTENT_TYPE"]
        return environ

    def _read_request_line(self) -> bytes:
        # Ignore requests on closed connections: nobody would receive the response.
        line = super()._read_request_line()
        return b"" if self.conn_state[2] == STATE_CLOSE else line


def within_length(app: WSGIApplication) -> WSGIApplication:
    """Wrap the application, so that it sends no more than the Content-Length of a body.

    The proxy would read the rest as the next response, possibly for another client.
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
