"""Views that show what the application is given, and that misbehave on request."""

import hashlib
import os
import signal
import socket
import time
from pathlib import Path
from uuid import uuid4

from flask import Blueprint, Response, request

blueprint = Blueprint("probe", __name__, url_prefix="/probe")


@blueprint.route("/request", methods=["GET", "POST"])
def show() -> dict[str, object]:
    """Say what the application knows of the request and its client."""
    return {
        "method": request.method,
        "address": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "root": request.url_root,
        "headers": [list(header) for header in request.headers],
    }


@blueprint.post("/upload")
def upload() -> dict[str, object]:
    """Say how long the body was, and its SHA-256."""
    body = request.get_data()
    return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@blueprint.get("/empty")
def empty() -> tuple[str, int]:
    """Answer without a body."""
    return "", 204


@blueprint.get("/cookies")
def cookies() -> Response:
    """Set two cookies."""
    answer = Response("two\n")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


@blueprint.get("/fail")
def fail() -> str:
    """Raise."""
    raise RuntimeError("the probe fails on request")


# Each process that loads the application leaves its mark.
Path(f"/tmp/loaded-by-{os.getpid()}").touch()


@blueprint.get("/processes")
def processes() -> list[int]:
    """Say which processes loaded the application."""
    return [int(mark.name.rpartition("-")[2]) for mark in Path("/tmp").glob("loaded-by-*")]


@blueprint.get("/meet/<name>")
def meet(name: str) -> tuple[str, int]:
    """Wait until another request of that name is here too."""
    Path(f"/tmp/{name}-{uuid4().hex}").touch()
    deadline = time.monotonic() + 1.5
    while len(list(Path("/tmp").glob(f"{name}-*"))) < 2:
        if time.monotonic() > deadline:
            return "alone", 500
        time.sleep(0.02)
    return "met", 200


@blueprint.get("/slow/<name>")
def slow(name: str) -> Response:
    """Say in the log that work began, then take three seconds over it."""
    print(f"probe: began {name}", flush=True)
    time.sleep(3)
    return Response(f"finished {name}\n")


@blueprint.get("/work/<float:seconds>/<name>")
def work(seconds: float, name: str) -> Response:
    """Say in the log that work began, take some time over it, and answer at some length."""
    print(f"probe: began {name}", flush=True)
    time.sleep(seconds)
    return Response(f"{name}\n" * 1000)


@blueprint.get("/drip/<float:seconds>/<name>")
def drip(seconds: float, name: str) -> Response:
    """Answer the same in ten parts, over some time."""
    print(f"probe: began {name}", flush=True)

    def parts():
        for _ in range(10):
            yield f"{name}\n" * 100
            time.sleep(seconds / 10)

    return Response(parts(), mimetype="text/plain")


@blueprint.get("/host")
def host() -> str:
    """Say which container answers."""
    return socket.gethostname()


@blueprint.get("/die")
def die() -> str:
    """Kill this process without notice."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # the kernel spares process 1 of a container from its own signals


@blueprint.get("/hog")
def hog() -> str:
    """Use more memory than the container may."""
    return str(len([b"x" * 1024 * 1024 for _ in range(4096)]))


@blueprint.get("/large/<int:size>")
def large(size: int) -> Response:
    """Answer with so many bytes."""
    return Response(bytes(size))
