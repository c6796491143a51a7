"""Call applications in this process, without any server: what no server can surpass.

Prints one JSON object: calls a second of CPU time for the bare WSGI callable, a Flask application
of one view, and the measured application.
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

SECONDS = 0.15
# As under load, when whoever asks is at work, too: a core whose neighbour is idle is faster, by as
# much as the machine's host lets it.
PROCESSES = 2


def callable_alone(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer as a WSGI application does that is nothing else."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "18")])
    return [b'{"hello":"world"}\n']


def flask_alone() -> Flask:
    """Return the application that Flask's documentation begins with, answering in JSON."""
    app = Flask("alone")
    app.add_url_rule("/bench/json", view_func=lambda: {"hello": "world"})
    return app


def request() -> WSGIEnvironment:
    """Return a request as a server passes it on behind the sidecar."""
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


def calls_a_second(app: WSGIApplication) -> float:
    """Call ``app`` for a while; return how often a second of CPU time is enough for."""

    def start_response(status: str, *_: object) -> None:
        assert status == "200 OK", status

    calls, began = 0, time.process_time()
    while (spent := time.process_time() - began) < SECONDS:
        for _ in range(50):
            body = app(request(), start_response)
            b"".join(body)
            getattr(body, "close", lambda: None)()
        calls += 50
    return calls / spent


MEASURED: dict[str, WSGIApplication] = {"callable": callable_alone, "flask": flask_alone()}


def measure(name: str) -> float:
    """Measure one of them, in a process of its own."""
    return calls_a_second(MEASURED[name])


def main() -> None:
    """Measure all three. What the application logs meanwhile is written, and goes nowhere."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    (package,) = sys.argv[1:]
    MEASURED["application"] = importlib.import_module(f"{package}.wsgi").app
    # Forked, so that each process has what is measured.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as processes:
        found = {
            name: statistics.mean(processes.map(measure, [name] * PROCESSES)) for name in MEASURED
        }
    json.dump(found, report)


main()
