"""Views for measurements, one for each kind of work."""

import time
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, request

blueprint = Blueprint("bench", __name__, url_prefix="/bench", template_folder="templates")

PART = b"x" * 64 * 1024
ROWS = [
    {"number": number, "name": f"Name {number}", "price": number * 1.25} for number in range(20)
]


@blueprint.get("/json")
def small() -> dict[str, str]:
    """Return a small JSON document, to measure the cost of the request itself."""
    return {"hello": "world"}


@blueprint.get("/page")
def page() -> str:
    """Render a page with a table of 20 rows."""
    return render_template("bench/page.html", rows=ROWS)


@blueprint.get("/compute")
def compute() -> dict[str, str]:
    """Compute for 5 ms of CPU time in Python, which blocks other threads of the process (GIL)."""
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        sum(number * number for number in range(200))
    return {"hello": "world"}


@blueprint.get("/wait")
def wait() -> dict[str, str]:
    """Wait for 100 ms, as for a database."""
    time.sleep(0.1)
    return {"hello": "world"}


@blueprint.post("/upload")
def upload() -> dict[str, int]:
    """Read the whole body."""
    return {"length": len(request.get_data())}


@blueprint.get("/stream")
def stream() -> Response:
    """Stream 4 MiB in parts, as from a file or a query."""

    def parts() -> Iterator[bytes]:
        for _ in range(64):
            yield PART

    return Response(parts(), mimetype="application/octet-stream")
