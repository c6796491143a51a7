"""Views that take two seconds, each with another kind of work; the log shows when they began."""

import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator

from flask import Blueprint, Response, stream_with_context

blueprint = Blueprint("slow", __name__)

SECONDS = 2


def begin(kind: str) -> None:
    print(f"slow: began {kind}", flush=True)


@blueprint.get("/call")
def call() -> str:
    """Wait for another service."""
    begin("call")
    with urllib.request.urlopen(f"http://upstream:8000/wait/{SECONDS}", timeout=10) as response:
        response.read()
    return "whole\n"


@blueprint.get("/stream")
def stream() -> Response:
    """Stream, and log when the response is closed."""

    def parts() -> Iterator[str]:
        begin("stream")
        yield "wh"
        time.sleep(SECONDS)
        yield "ole\n"

    response = Response(stream_with_context(parts()), mimetype="text/plain")
    response.call_on_close(lambda: print("slow: closed", flush=True))
    return response


@blueprint.get("/subprocess")
def child() -> str:
    """Wait for a subprocess."""
    begin("subprocess")
    program = f"import time; time.sleep({SECONDS}); print('whole')"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


@blueprint.get("/thread")
def thread() -> str:
    """Wait for a thread."""
    begin("thread")
    found: list[str] = []

    def work() -> None:
        time.sleep(SECONDS)
        found.append("whole\n")

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    return found[0]


@blueprint.get("/orphan")
def orphan() -> dict[str, int]:
    """Run a program that exits before its child process, which becomes an orphan."""
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''])"
    return {"status": subprocess.run([sys.executable, "-c", program], check=True).returncode}
