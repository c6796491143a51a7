"""Views that show what the application is given, and that misbehave on request."""

import hashlib
import os
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
