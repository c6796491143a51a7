"""Views that show what the application is given, and that misbehave on request."""

import hashlib
import time

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


@blueprint.get("/fail")
def fail() -> str:
    """Raise."""
    raise RuntimeError("the probe fails on request")


@blueprint.get("/slow/<name>")
def slow(name: str) -> Response:
    """Say in the log that work began, then take three seconds over it."""
    print(f"probe: began {name}", flush=True)
    time.sleep(3)
    return Response(f"finished {name}\n")
