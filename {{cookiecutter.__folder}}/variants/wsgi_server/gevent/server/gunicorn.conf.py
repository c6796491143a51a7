"""Gunicorn with gevent: a greenlet for each request. https://gunicorn.org/reference/settings/"""
# ruff: noqa: E402 (the order of the imports is the point)

from gevent import monkey

# Before anything else is imported, the application's modules below among it: they keep blocking
# parts otherwise, and HTTPS fails (https://github.com/gevent/gevent/issues/1016).
monkey.patch_all()

import asyncio
import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

import greenlet
from gevent import Greenlet, Timeout, get_hub, getcurrent
from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.workers.ggevent import GeventWorker

# Run, not imported: that would load the application in this process, from which the workers are
# forked, and threads that it starts at import would be missing in them.
package = Path(__file__).parents[1] / "src" / "{{ cookiecutter.package_name }}"
logs = runpy.run_path(str(package / "logs.py"))


class Worker(GeventWorker):
    """Gunicorn's own, which at a stop would wait for idle connections as it does for busy ones."""

    def init_process(self) -> None:
        """Start with no connection, and serve."""
        self.waiting: dict[Greenlet, tuple[Timeout, float]] = {}
        super().init_process()

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Note each connection that waits for its next request."""
        connection = getcurrent()
        with super().timeout_ctx() as timeout:
            self.waiting[connection] = timeout, time.monotonic()
            try:
                yield
            finally:
                del self.waiting[connection]

    def notify(self) -> None:
        """Show a sign of life, each second; when stopping, let idle connections time out."""
        super().notify()
        if not self.alive:
            for connection, (timeout, since) in list(self.waiting.items()):
                if time.monotonic() - since > 0.5:  # else its request may be on the way
                    get_hub().loop.run_callback(self.end_wait, connection, timeout)

    def end_wait(self, connection: Greenlet, timeout: Timeout) -> None:
        """Let a connection time out, unless its next request has arrived by now."""
        if connection in self.waiting:
            connection.throw(timeout)


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

    https://github.com/gevent/gevent/issues/936
    """
    raise RuntimeError("multiprocessing does not work on gevent: use subprocess or a task queue")


greenlet.settrace(keep_event_loop)
BaseProcess.start = refuse  # type: ignore[method-assign]
# gevent waits for all processes. asyncio waits by os.waitpid(), which gevent patches, and not by a
# descriptor, for which the process may be gone already.
asyncio.unix_events.can_use_pidfd = lambda: False  # type: ignore[attr-defined]

wsgi_app = "{{ cookiecutter.package_name }}.wsgi:app"
socket = os.environ.get("UNIX_SOCKET")
bind = f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)
worker_class = Worker
workers = int(os.environ["WEB_CONCURRENCY"])

# A worker whose event loop hangs for so long is replaced. Slow requests are the proxy's to end.
timeout = int(os.environ["REQUEST_TIMEOUT"])
graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
# A worker is replaced after so many requests, 0 for never, or up to half more: not all at once.
max_requests = int(os.environ["MAX_REQUESTS"])
max_requests_jitter = max_requests // 2
# Longer than the proxy keeps a connection, so that it never writes into one that is being closed.
keepalive = 75

# Above what the proxy lets through and adds. The constant is the maximum of the first setting, 8190
# by default, until https://github.com/benoitc/gunicorn/issues/3171 is fixed; 0 means no limit.
limit_request_line = message.MAX_REQUEST_LINE = 20_480
limit_request_field_size = 20_480
limit_request_fields = 128

# ProxyFix alone believes headers. By default Gunicorn believes X-Forwarded-Proto, SCRIPT_NAME and
# similar headers of any client on the loopback interface or a unix socket.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# No header is trusted, so do not check the address of the peer on each request.
forwarded_allow_ips = "*"

# Heartbeats go to memory: on a disk they could block, and the root file system is read-only.
worker_tmp_dir = "/dev/shm"
# It would want a writable home directory.
control_socket_disable = True


class Log(Logger):
    """Gunicorn's own log, without a line for each request: the proxy or the application has it."""

    def access(self, *_: object) -> None:
        """Do nothing. With a logconfig_dict, Gunicorn would make a line that goes nowhere."""


logger_class = Log
logconfig_dict = logs["dict_config"](os.environ["LOG_LEVEL"].upper()) | {
    "loggers": {"gunicorn.error": {"handlers": [], "propagate": True}}
}


def post_worker_init(worker: Worker) -> None:
    """Stop on SIGTERM, for which a module of the application may have set another handler."""
    signal.signal(signal.SIGTERM, worker.handle_exit)
