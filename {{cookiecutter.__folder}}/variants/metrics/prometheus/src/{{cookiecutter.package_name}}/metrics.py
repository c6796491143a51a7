"""Prometheus metrics at /metrics, correct with any number of worker processes.

The image sets PROMETHEUS_MULTIPROC_DIR, a folder in which every process stores its values, so that
each can report those of all. Without it there is only one process, with the values in memory.
"""

import os
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import IO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, make_wsgi_app, values
from prometheus_client.multiprocess import MultiProcessCollector

# Clients can send any method. All others share one label.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Slot:
    """A number that belongs to this process until it ends. Then another process can reuse it.

    With process ids instead, the files of every replaced worker would accumulate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.process = 0
        self.lock: IO[str] | None = None

    def __call__(self) -> int:
        """Return this process's number. A forked process acquires its own."""
        if self.process != os.getpid():
            self.process = os.getpid()
            self.acquire()
        return self.number

    def acquire(self) -> None:
        """Lock the first free file. The system releases the lock when the process ends."""
        import fcntl  # not available on Windows, and only needed in the image

        for self.number in count():
            self.lock = (self.folder / f"{self.number}.lock").open("w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.lock.close()
            else:
                return


registry = REGISTRY
if shared := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    Path(shared).mkdir(exist_ok=True)
    values.ValueClass = values.MultiProcessValue(Slot(Path(shared)))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)

requests = Histogram(
    "http_request_duration_seconds",
    "Seconds until the response to a request started.",
    ["method", "route", "status"],
)


class MetricsPage:
    """WSGI middleware for /metrics, which is only for clients that connect to this server directly.

    A request through a proxy always has an X-Forwarded-For header and gets 404, so that the metrics
    are private to the internal network.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.page = make_wsgi_app(registry)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        direct = "HTTP_X_FORWARDED_FOR" not in environ
        app = self.page if direct and environ["PATH_INFO"] == "/metrics" else self.app
        return app(environ, start_response)


def init_app(app: Flask) -> None:
    """Measure each response, and serve the metrics."""

    @app.after_request
    def measure(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        route = request.url_rule.rule if request.url_rule else "none"
        seconds = time.perf_counter() - g.started
        requests.labels(method, route, response.status_code).observe(seconds)
        return response

    app.wsgi_app = MetricsPage(app.wsgi_app)  # type: ignore[method-assign]
