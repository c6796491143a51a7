"""Call applications in this process, without a server: an upper bound for servers.

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

# Of CPU time, in each process; and how often each is called before it is the next one's turn.
SECONDS = 0.6
CALLS = 50
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
    """Return how many calls of each a second of CPU time is enough for.

    They take short turns, so that all have the same of a CPU whose speed changes.
    """
    spent = dict.fromkeys(MEASURED, 0.0)
    turns = 0
    while sum(spent.values()) < seconds:
        for name, app in MEASURED.items():
            spent[name] += call(app)
        turns += 1
    return {name: turns * CALLS / took for name, took in spent.items()}


def main() -> None:
    """Measure all three. What the application logs meanwhile is written, and goes nowhere."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    (package,) = sys.argv[1:]
    MEASURED["application"] = importlib.import_module(f"{package}.wsgi").app
    # Forked, so that each process has what is measured.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as processes:
        looks = list(processes.map(measure, [SECONDS] * PROCESSES))
    found = {name: statistics.mean(look[name] for look in looks) for name in MEASURED}
    json.dump(found, report)


main()
