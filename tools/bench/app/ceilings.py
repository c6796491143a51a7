"""Call applications in this process, without a server: an upper bound for servers.

Prints one JSON object: calls per second of CPU time for the bare WSGI callable, a Flask application
with one view, and the measured application.
"""

import importlib
import io
import json
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

# The CPU time in each process, and the number of calls of an application before those of the next.
SECONDS = 0.6
CALLS = 50
# Two, as under load, when the load generator is busy, too: a core is faster while the other one is
# idle. How much faster depends on the machine's host.
PROCESSES = 2


def callable_alone(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Respond as a bare WSGI application, without a framework."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "18")])
    return [b'{"hello":"world"}\n']


def flask_alone() -> Flask:
    """Return the first application of Flask's documentation, with a JSON response."""
    app = Flask("alone")
    app.add_url_rule("/bench/json", view_func=lambda: {"hello": "world"})
    return app


def request() -> WSGIEnvironment:
    """Return the environ of a request, as a server behind the proxy passes it on."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/bench/json",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8080",
        "HTTP_X_FORWARDED_FOR": "192.0.2.1",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_X_FORWARDED_HOST": "localhost:8080",
        "HTTP_X_REQUEST_ID": "0123456789abcdef0123456789abcdef",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def call(app: WSGIApplication) -> float:
    """Call ``app`` a few times; return the seconds of CPU time that this took."""

    def start_response(status: str, *_: object) -> None:
        assert status == "200 OK", status

    began = time.process_time()
    for _ in range(CALLS):
        body = app(request(), start_response)
        b"".join(body)
        getattr(body, "close", lambda: None)()
    return time.process_time() - began


MEASURED: dict[str, WSGIApplication] = {"callable": callable_alone, "flask": flask_alone()}


def measure(seconds: float) -> dict[str, float]:
    """Return the calls of each application per second of CPU time.

    The applications run alternately, so that changes of the CPU's speed affect all of them equally.
    """
    spent = dict.fromkeys(MEASURED, 0.0)
    repeats = 0
    while sum(spent.values()) < seconds:
        for name, app in MEASURED.items():
            spent[name] += call(app)
        repeats += 1
    return {name: repeats * CALLS / took for name, took in spent.items()}


def main() -> None:
    """Measure all three. The application writes its logs to /dev/null."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    (package,) = sys.argv[1:]
    MEASURED["application"] = importlib.import_module(f"{package}.wsgi").app
    # Forked, so that each process has the applications.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as processes:
        results = list(processes.map(measure, [SECONDS] * PROCESSES))
    found = {name: statistics.mean(result[name] for result in results) for name in MEASURED}
    json.dump(found, report)


main()
