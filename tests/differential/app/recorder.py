"""Records what the application receives, and responds as the request specifies."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

# Shared by all processes of the container, and read by the tests.
SEEN = "/seen/requests.jsonl"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

blueprint = Blueprint("recorder", __name__)


class Recorder:
    """WSGI middleware that writes the environ of each request to a file, one JSON line each."""

    def __init__(self, app: Callable) -> None:
        self.app = app

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        # The container's health check does not pass through the proxy.
        if environ.get("PATH_INFO") == "/health/live" and "HTTP_X_FORWARDED_FOR" not in environ:
            return self.app(environ, start_response)
        # ProxyFix changes the environ, so it is copied first: without the process's environment
        # variables, which a server may add (PEP 3333).
        record = {
            name: value
            for name, value in environ.items()
            if isinstance(value, str) and os.environ.get(name) != value
        }
        record["body"] = self.read_body(environ)
        environ["recorder.record"] = record

        def start(status: str, headers: list, *more: object) -> Callable:
            # Before the response is sent, so that a client with a response finds the record.
            self.write(record)
            # Distinguishes the application's responses from those of proxies and servers.
            return start_response(status, [*headers, ("X-Recorded", "1")], *more)

        return self.app(environ, start)

    @staticmethod
    def write(record: dict) -> None:
        """Append a record in one write, because other processes write to the file too."""
        file = os.open(SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(file, json.dumps(record).encode() + b"\n")
        os.close(file)

    @staticmethod
    def read_body(environ: dict) -> str:
        """Return the body's length and hash, and put the body back for the application."""
        try:
            body = get_input_stream(environ).read()
        except (ClientDisconnected, OSError):
            return "cut off"
        environ["wsgi.input"] = BytesIO(body)
        environ["wsgi.input_terminated"] = True
        return f"{len(body)} bytes, {hashlib.sha256(body).hexdigest()[:16]}" if body else "empty"


@blueprint.before_app_request
def record_what_flask_makes_of_it() -> None:
    """Record the client address, root URL and path in the request after ProxyFix."""
    request.environ.get("recorder.record", {}).update(
        {
            "flask.remote_addr": request.remote_addr or "",
            "flask.url_root": request.url_root,
            "flask.path": request.path,
        }
    )


@blueprint.route("/echo", methods=METHODS)
@blueprint.route("/echo/<path:rest>", methods=METHODS)
@blueprint.route("/canary")
def echo(rest: str = "") -> dict[str, object]:
    """Respond with the request as parsed by Flask: arguments, forms, files and cookies."""
    return {
        "path": request.path,
        "arguments": request.args.to_dict(flat=False),
        "form": request.form.to_dict(flat=False),
        "files": {name: [file.filename, len(file.read())] for name, file in request.files.items()},
        "cookies": request.cookies.to_dict(flat=False),
        "json": request.get_json(silent=True),
    }


@blueprint.route("/respond", methods=METHODS)
def respond() -> Response:
    """Respond as the query specifies.

    ``status``; ``size`` of the body, streamed in ``parts`` if given; ``length``, a Content-Length
    that may be wrong; ``field``, a header "Name: value", may be repeated; ``fields``, a number of
    headers; ``pad``, a header of that size; ``end=early`` raises after half of the parts.
    """
    # The last value of a name is used: the generator appends.
    wanted = dict(request.args.items(multi=True))
    size, parts = int(wanted.get("size", 5)), int(wanted.get("parts", 0))

    def stream() -> Iterator[bytes]:
        for number in range(parts):
            if wanted.get("end") == "early" and number == parts // 2:
                raise RuntimeError("ends early, as the request says")
            yield b"x" * (size // parts)

    response = Response(
        stream() if parts else b"x" * size,
        status=int(wanted.get("status", 200)),
        mimetype=wanted.get("type", "text/plain"),
    )
    for field in request.args.getlist("field"):
        name, _, value = field.partition(":")
        response.headers.add(name, value.strip())
    for number in range(int(wanted.get("fields", 0))):
        response.headers.add(f"X-Field-{number}", "x")
    if "pad" in wanted:
        response.headers["X-Padding"] = "x" * int(wanted["pad"])
    if "length" in wanted:
        response.headers["Content-Length"] = wanted["length"]
    if "conditional" in wanted:
        response.set_etag("entity")
        response.last_modified = 1_700_000_000
        response.make_conditional(request, accept_ranges=True, complete_length=size)
    return response
