"""Views that show what the application receives, and that fail on request."""

import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from flask import Blueprint, Response, redirect, request, send_file, url_for
from werkzeug.datastructures import EnvironHeaders

blueprint = Blueprint("probe", __name__, url_prefix="/probe")

# Simulates an application that loads slowly.
if seconds := os.environ.get("PROBE_LOADS_FOR"):
    print("probe: loading", flush=True)
    time.sleep(float(seconds))


@blueprint.route("/request", methods=["GET", "POST"])
def show() -> dict[str, object]:
    """Return the request and its client as the application sees them."""
    return {
        "method": request.method,
        "address": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "root": request.url_root,
        "headers": [list(header) for header in request.headers],
        "from_server": [list(header) for header in EnvironHeaders(environ())],
    }


@blueprint.route("/environ", methods=["GET", "POST"])
def environ() -> dict[str, object]:
    """Return the WSGI environment as the server made it."""
    return request.environ["probe.made_by_server"]


@blueprint.post("/upload")
def upload() -> dict[str, object]:
    """Return the body's length and SHA-256."""
    body = request.get_data()
    return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@blueprint.get("/static-urls")
def static_urls() -> list[str]:
    """Return the URL of each static file in the query."""
    return [url_for("static", filename=name) for name in request.args.getlist("name")]


@blueprint.get("/empty")
def empty() -> tuple[str, int]:
    """Respond without a body."""
    return "", 204


@blueprint.route("/fail", methods=["GET", "POST"])
def fail() -> str:
    """Raise RuntimeError."""
    raise RuntimeError("the probe fails on request")


# Each process that loads the application creates a file.
Path(f"/tmp/loaded-by-{os.getpid()}").touch()


@blueprint.get("/processes")
def processes() -> dict[str, list[int]]:
    """Return the ids of the processes that loaded the application, and which of them still run."""
    loaded = [int(mark.name.rpartition("-")[2]) for mark in Path("/tmp").glob("loaded-by-*")]
    running = [process for process in loaded if Path(f"/proc/{process}").exists()]
    return {"loaded": loaded, "running": running}


@blueprint.get("/meet/<name>")
def meet(name: str) -> tuple[str, int]:
    """Wait until a second request with this name is in progress."""
    Path(f"/tmp/{name}-{uuid4().hex}").touch()
    deadline = time.monotonic() + 1.5
    while len(list(Path("/tmp").glob(f"{name}-*"))) < 2:
        if time.monotonic() > deadline:
            return "alone", 500
        time.sleep(0.02)
    return "met", 200


@blueprint.get("/slow/<name>")
def slow(name: str) -> Response:
    """Log the start, then respond after three seconds."""
    print(f"probe: began {name}", flush=True)
    time.sleep(3)
    return Response(f"finished {name}\n")


@blueprint.get("/work/<float:seconds>/<name>")
def work(seconds: float, name: str) -> Response:
    """Log the start, then send a long response after the given seconds."""
    print(f"probe: began {name}", flush=True)
    time.sleep(seconds)
    return Response(f"{name}\n" * 1000)


@blueprint.get("/drip/<float:seconds>/<name>")
def drip(seconds: float, name: str) -> Response:
    """Log the start, then send the same text in ten parts over the given seconds."""
    print(f"probe: began {name}", flush=True)

    def parts():
        for _ in range(10):
            yield f"{name}\n" * 100
            time.sleep(seconds / 10)

    return Response(parts(), mimetype="text/plain")


@blueprint.get("/host")
def host() -> str:
    """Return the host name of the container that responds."""
    return socket.gethostname()


# Set before the first response of this process, because later requests import more modules.
uncompiled_at_start: list[str] | None = None


@blueprint.before_app_request
def look_for_bytecode() -> None:
    """Find the modules of Python and of packages that have no bytecode file."""
    global uncompiled_at_start
    if uncompiled_at_start is not None:
        return
    specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
    uncompiled_at_start = [
        spec.name
        for spec in specs
        if spec and spec.has_location and spec.cached
        if spec.origin.startswith((sys.prefix, sys.base_prefix)) and not Path(spec.cached).exists()
    ]


@blueprint.get("/uncompiled")
def uncompiled() -> list[str] | None:
    """Return the modules that had to be compiled when this process started."""
    return uncompiled_at_start


@blueprint.route("/die", methods=["GET", "POST"])
def die() -> str:
    """Log the query, then kill this process with SIGKILL."""
    print(f"probe: dies {request.query_string.decode()}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # process 1 of a container cannot kill itself


@blueprint.get("/hog")
def hog() -> str:
    """Use more memory than the container's limit."""
    return str(len([b"x" * 1024 * 1024 for _ in range(4096)]))


@blueprint.after_app_request
def say_what_was_asked(response: Response) -> Response:
    """Add the received path and query, which show that the application responded."""
    # WSGI paths are bytes decoded as Latin-1 (PEP 3333).
    response.headers["X-Probe-Path"] = quote(request.environ["PATH_INFO"], encoding="latin-1")
    response.headers["X-Probe-Query"] = request.query_string.decode("latin-1")
    return response


def mark(name: str) -> Path:
    """Return the file that records an event for all processes."""
    return Path(f"/tmp/mark-{name}")


def happened(name: str) -> str:
    """Return one x for each time that the event happened."""
    return mark(name).read_text() if mark(name).exists() else ""


@blueprint.route("/marks/<name>", methods=["GET", "PUT"])
def marks(name: str) -> str:
    """Return one x for each time that the event happened; PUT records it again."""
    if request.method == "PUT":
        with mark(name).open("a") as file:
            file.write("x")
    return happened(name)


@blueprint.post("/commit/<name>")
def commit(name: str) -> str:
    """Record that a complete body was read."""
    length = len(request.get_data())
    with mark(name).open("a") as file:
        file.write("x")
    return f"committed {length}"


@blueprint.route("/unread", methods=["POST", "PUT"])
def unread() -> str:
    """Respond without reading the body."""
    return "unread"


@blueprint.post("/form")
def form() -> str:
    """Return the number of fields in a form."""
    return str(len(request.form))


@blueprint.route("/bytes/<int:size>", methods=["GET", "HEAD", "POST"])
def some_bytes(size: int) -> Response:
    """Respond with this number of bytes."""
    return Response(b"0123456789" * (size // 10) + b"0123456789"[: size % 10])


@blueprint.get("/tagged")
def tagged() -> Response:
    """Respond with an ETag and a date, or with 304 if a condition matches them."""
    response = Response("tagged\n")
    response.set_etag("probe")
    response.last_modified = 1_700_000_000
    return response.make_conditional(request)


@blueprint.get("/file")
def file() -> Response:
    """Respond with a file, or with the requested range of it."""
    return send_file(__file__, mimetype="text/plain")


@blueprint.get("/redirect/<kind>")
def redirected(kind: str) -> Response:
    """Redirect to a path, or to a full URL."""
    return redirect(url_for("probe.show", _external=kind == "address"))


@blueprint.get("/folder/")
def folder() -> str:
    """Return a text; Flask redirects requests without the trailing slash."""
    return "folder"


@blueprint.get("/cookies")
def cookies() -> Response:
    """Set two cookies."""
    response = Response("cookies")
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@blueprint.get("/long-header/<int:size>")
def long_header(size: int) -> Response:
    """Respond with a header of this size."""
    return Response("long header", headers={"X-Long": "x" * size})


@blueprint.get("/many-headers/<int:count>/<int:size>")
def many_headers(count: int, size: int) -> Response:
    """Respond with this number of headers of this size; the first eight are cookies."""
    response = Response("many headers")
    for number in range(count):
        name = "Set-Cookie" if number < 8 else f"X-Long-{number}"
        response.headers.add(name, f"c{number}=" + "x" * size)
    return response


@blueprint.get("/headers/<int:status>")
def headers(status: int) -> Response:
    """Respond with the headers in the query, and a body that is not valid UTF-8."""
    return Response(b"\xe4", status, headers=list(request.args.items(multi=True)))


@blueprint.get("/text/<int:size>")
def text(size: int) -> Response:
    """Respond with this number of letters, an ETag, and the status and headers in the query.

    With ``stream``, without a length. Conditions and ranges are evaluated.
    """
    values = dict(request.args)
    status, stream = int(values.pop("status", 200)), values.pop("stream", None)
    letters = b"a" * size
    response = Response(iter([letters]) if stream else letters, status, headers=values)
    response.set_etag("probe")
    if status == 200 and not stream:
        response.make_conditional(request, accept_ranges=True, complete_length=size)
    return response


class MishandledError(Exception):
    """An exception whose handler fails too."""


@blueprint.errorhandler(MishandledError)
def mishandle(_: MishandledError) -> str:
    raise RuntimeError("the probe fails in its error handler")


@blueprint.get("/fail-twice")
def fail_twice() -> str:
    """Raise an exception whose handler raises another one."""
    raise MishandledError


@blueprint.get("/stream/<name>")
def stream(name: str) -> Response:
    """Send five events, each after the first when a mark permits it; with a length if requested."""

    def events() -> Iterator[str]:
        for number in range(5):
            deadline = time.monotonic() + 5
            while len(happened(name)) < number:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)
            yield f"data: {number}\n\n"

    headers = {"Content-Length": request.args["length"]} if "length" in request.args else {}
    content_type = request.args.get("type", "text/event-stream")
    return Response(events(), content_type=content_type, headers=headers)


@blueprint.get("/endless/<name>")
def endless(name: str) -> Response:
    """Send events for a minute; record the end of the generator."""

    def events() -> Iterator[str]:
        try:
            for number in range(600):
                yield f"data: {number}\n\n"
                time.sleep(0.1)
        finally:
            mark(name).write_text("closed")

    return Response(events(), mimetype="text/event-stream")


@blueprint.get("/broken/<kind>")
def broken(kind: str) -> Response:
    """Send a part of a response, then raise, or end before the announced length."""

    def parts() -> Iterator[bytes]:
        yield b"begun\n"
        # Larger than all buffers, so that the client has received the start.
        yield bytes(300_000) if kind == "late" else b"more\n"
        if kind != "short":
            raise RuntimeError("the probe fails in the middle")

    headers = {"Content-Length": "1000000"} if kind in ("length", "short") else {}
    return Response(parts(), headers=headers)


@blueprint.route("/download/<int:pieces>", methods=["GET", "HEAD"])
def download(pieces: int) -> Response:
    """Stream pieces of 64 KiB, each filled with its number."""
    return Response(
        (bytes([number % 251]) * 65536 for number in range(pieces)),
        mimetype="application/octet-stream",
    )
