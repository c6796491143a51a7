"""Gunicorn: worker processes with threads. https://gunicorn.org/reference/settings/"""

import os
import runpy
import signal
from pathlib import Path

from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.workers.base import Worker

# Run, not imported: that would load the application in this process, from which the workers are
# forked, and threads that it starts at import would be missing in them.
package = Path(__file__).parents[1] / "src" / "{{ cookiecutter.package_name }}"
logs = runpy.run_path(str(package / "logs.py"))

wsgi_app = "{{ cookiecutter.package_name }}.wsgi:app"
socket = os.environ.get("UNIX_SOCKET")
bind = f"unix:{socket}" if socket else "{LISTEN_ADDRESS}:{PORT}".format_map(os.environ)
worker_class = "gthread"
workers = int(os.environ["WEB_CONCURRENCY"])
threads = int(os.environ["WEB_THREADS"])

# A worker that shows no sign of life for so long is replaced. Slow requests are the proxy's to end.
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
