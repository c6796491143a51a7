"""Gunicorn with gevent: a greenlet for each request. https://gunicorn.org/reference/settings/"""
# ruff: noqa: E402 (the order of the imports matters)

from gevent import monkey

# Before all other imports, including the application's modules: they would keep blocking functions,
# and HTTPS would fail (https://github.com/gevent/gevent/issues/1016).
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
from threading import Lock
from typing import Any, NoReturn

import greenlet
from gevent import Greenlet, Timeout, get_hub, getcurrent
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.http.message import Request
from gunicorn.workers.ggevent import GeventWorker

# Run instead of imported: an import would load the application in this process, and threads that it
# starts at import would not exist in the workers, which are forked from this process.
package = Path(__file__).parents[1] / "src" / "{{ cookiecutter.package_name }}"
logs = runpy.run_path(str(package / "logs.py"))


class Worker(GeventWorker):
    """Gunicorn's worker, but shutdown closes idle connections instead of waiting for them."""

    def init_process(self) -> None:
        """Start without connections."""
        self.waiting: dict[Greenlet, tuple[Timeout, float]] = {}
        super().init_process()

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Register a connection while it waits for its next request."""
        connection = getcurrent()
        with super().timeout_ctx() as timeout:
            self.waiting[connection] = timeout, time.monotonic()
            try:
                yield
            finally:
                del self.waiting[connection]

    def handle_request(self, name: str, request: Request, client: Any, address: Any) -> None:
        """Handle a request; give that of a WebSocket a socket for large messages."""
        if any(header == "UPGRADE" for header, _ in request.headers):
            client = WholeSocket(client)
        super().handle_request(name, request, client, address)

    def notify(self) -> None:
        """Send a heartbeat each second. During shutdown, let idle connections time out."""
        super().notify()
        if not self.alive:
            for connection, (timeout, since) in list(self.waiting.items()):
                if time.monotonic() - since > 0.5:  # younger ones may get a request
                    get_hub().loop.run_callback(self.end_wait, connection, timeout)

    def end_wait(self, connection: Greenlet, timeout: Timeout) -> None:
        """Let a connection time out, unless its next request has just arrived."""
        if connection in self.waiting:
            connection.throw(timeout)


class WholeSocket:
    """A client's socket, whose send() sends all of the data.

    To be removed when simple-websocket, which expects that, is released with a correction:
    https://github.com/miguelgrinberg/simple-websocket/issues/45
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        # For the view and the library's own greenlet, which answers pings.
        self.lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def send(self, data: bytes) -> int:
        """Send all of the data, without data of another greenlet in between."""
        with self.lock:
            self.client.sendall(data)
        return len(data)


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

    https://github.com/gevent/gevent/issues/936
    """
    raise RuntimeError("multiprocessing does not work on gevent: use subprocess or a task queue")


greenlet.settrace(keep_event_loop)
BaseProcess.start = refuse  # type: ignore[method-assign]
# gevent reaps all child processes. asyncio must wait with os.waitpid(), which gevent patches,
# because a process may no longer exist when asyncio opens a file descriptor for it.
asyncio.unix_events.can_use_pidfd = lambda: False  # type: ignore[attr-defined]

wsgi_app = "{{ cookiecutter.package_name }}.wsgi:app"
socket = os.environ.get("UNIX_SOCKET")
bind = f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)
worker_class = Worker
workers = int(os.environ["WEB_CONCURRENCY"])

# Replace a worker whose event loop is blocked for this many seconds. The proxy limits the time of
# requests.
timeout = int(os.environ["REQUEST_TIMEOUT"])
graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
# Replace a worker after this many requests, or up to 50 % more, so that not all are replaced at the
# same time. 0: never.
max_requests = int(os.environ["MAX_REQUESTS"])
max_requests_jitter = max_requests // 2
# Longer than the proxy keeps idle connections, so that it does not send on a closing one.
keepalive = 75

# Higher than the proxy's limits. The constant is the maximum of the first setting, to be removed
# when https://github.com/benoitc/gunicorn/issues/3171 is fixed.
limit_request_line = message.MAX_REQUEST_LINE = 20_480
limit_request_field_size = 20_480
limit_request_fields = 128

# Only ProxyFix trusts headers. By default Gunicorn trusts X-Forwarded-Proto, SCRIPT_NAME and
# similar headers from clients on the loopback interface or a unix socket.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# No header is trusted, so do not check the address of the peer on each request.
forwarded_allow_ips = "*"

# Heartbeat files in memory: writes to a disk can block, and the root file system is read-only.
worker_tmp_dir = "/dev/shm"
# It would need a writable home directory.
control_socket_disable = True


class Log(Logger):
    """Gunicorn's log without access lines: the proxy or the application writes them."""

    def access(self, *_: object) -> None:
        """Do nothing. Gunicorn would format a line that no handler writes."""


logger_class = Log
logconfig_dict = logs["dict_config"](os.environ["LOG_LEVEL"].upper()) | {
    "loggers": {"gunicorn.error": {"handlers": [], "propagate": True}}
}


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    """Remember the worker's copy of the first process's signals."""
    worker.early_signals = arbiter.SIG_QUEUE


def post_worker_init(worker: Worker) -> None:
    """Stop on SIGTERM, even if a module of the application has set another handler.

    Also if it came before the worker had a handler. Until then, the first process's handler runs in
    the worker, and puts it into a queue that nothing reads:
    https://github.com/benoitc/gunicorn/issues/1910
    """
    signal.signal(signal.SIGTERM, worker.handle_exit)
    while not worker.early_signals.empty():
        if worker.early_signals.get() == signal.SIGTERM:
            worker.handle_exit(signal.SIGTERM, None)
