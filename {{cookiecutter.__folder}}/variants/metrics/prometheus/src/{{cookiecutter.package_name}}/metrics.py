"""Metrics for Prometheus, at /metrics: right with any number of worker processes.

The image sets PROMETHEUS_MULTIPROC_DIR, a folder where every process keeps what it counted, so that
any of them can answer for all. Without it there is one process, which counts in its own memory.
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

# Methods are the client's own words; others than these share one label.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Place:
    """A number that this process has for itself, until it ends; then another process takes it over.

    With process ids in its place, each worker that was replaced would leave its files behind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.process = 0
        self.lock: IO[str] | None = None

    def __call__(self) -> int:
        """Return this process's number; a forked one takes its own."""
        if self.process != os.getpid():
            self.process = os.getpid()
            self.take()
        return self.number

    def take(self) -> None:
        """Lock the first file that nobody holds; the system gives it back when the process ends."""
        import fcntl  # not on every system, and needed in the image only

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
    values.ValueClass = values.MultiProcessValue(Place(Path(shared)))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)

requests = Histogram(
    "http_request_duration_seconds",
    "Time until the answer to a request began.",
    ["method", "route", "status"],
)


class MetricsPage:
    """WSGI middleware that answers /metrics to who asks this server itself.

    A request that comes through a proxy has an X-Forwarded-For, whatever its client does: for it
    there is no such page. So the metrics are for the network inside.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.page = make_wsgi_app(registry)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        inside = "HTTP_X_FORWARDED_FOR" not in environ
        app = self.page if inside and environ["PATH_INFO"] == "/metrics" else self.app
        return app(environ, start_response)


def init_app(app: Flask) -> None:
    """Measure each answer, and show what was measured."""

    @app.after_request
    def measure(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        route = request.url_rule.rule if request.url_rule else "none"
        seconds = time.perf_counter() - g.started
        requests.labels(method, route, response.status_code).observe(seconds)
        return response

    app.wsgi_app = MetricsPage(app.wsgi_app)  # type: ignore[method-assign]
