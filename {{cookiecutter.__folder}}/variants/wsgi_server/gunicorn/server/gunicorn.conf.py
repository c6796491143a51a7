"""Gunicorn: worker processes with threads. https://gunicorn.org/reference/settings/"""

import os
import runpy
import signal
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.http.message import Request
from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker

# Run instead of imported: an import would load the application in this process, and threads that it
# starts at import would not exist in the workers, which are forked from this process.
package = Path(__file__).parents[1] / "src" / "{{ cookiecutter.package_name }}"
logs = runpy.run_path(str(package / "logs.py"))

wsgi_app = "{{ cookiecutter.package_name }}.wsgi:app"
socket = os.environ.get("UNIX_SOCKET")
bind = f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)
worker_class = "gthread"
workers = int(os.environ["WEB_CONCURRENCY"])
threads = int(os.environ["WEB_THREADS"])

# Replace a worker without a heartbeat for this many seconds. The proxy limits the time of requests.
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


def post_request(
    _worker: Worker, _request: Request, environ: dict[str, Any], response: Response | None
) -> None:
    """Shut down the socket when the view of a WebSocket has ended.

    Otherwise the worker would wait for two seconds if the client keeps its side open, and accept no
    connections meanwhile: close_graceful() in
    https://github.com/benoitc/gunicorn/blob/master/gunicorn/util.py
    """
    if "HTTP_UPGRADE" in environ and not (response and response.headers_sent):
        with suppress(OSError):  # the library has closed it
            environ["gunicorn.socket"].shutdown(SHUT_RDWR)
