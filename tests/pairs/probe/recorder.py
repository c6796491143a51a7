"""Records what the server passes to the application."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

from flask import Blueprint, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

# Shared by all processes of the container.
SEEN = Path("/tmp/seen.jsonl")
# Requests for this record, and the container's health check.
IGNORED = ("/probe/seen", "/health/live")

blueprint = Blueprint("recorder", __name__, url_prefix="/probe")


class Recorder:
    """WSGI middleware that records each request; for the echo view, also the body's hash."""

    def __init__(self, app: Callable) -> None:
        self.app = app

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        # Before ProxyFix and the application's other middleware change it.
        environ["probe.made_by_server"] = {
            name: value for name, value in environ.items() if isinstance(value, str)
        }
        path = environ.get("PATH_INFO", "")
        if path not in IGNORED:
            seen = {
                "method": environ["REQUEST_METHOD"],
                "path": path,
                "query": environ.get("QUERY_STRING", ""),
                "headers": {name: environ[name] for name in environ if name.startswith("HTTP_")},
            }
            if path.startswith("/probe/echo/"):
                seen["sha256"] = self.hash_of_body(environ)
            file = os.open(SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(file, (json.dumps(seen) + "\n").encode())
            os.close(file)
        return self.app(environ, start_response)

    @staticmethod
    def hash_of_body(environ: dict) -> str | None:
        """Return the body's hash and restore the body; return None if it is incomplete."""
        try:
            body = get_input_stream(environ).read()
        except (ClientDisconnected, OSError):
            return None
        environ["wsgi.input"] = BytesIO(body)
        environ["wsgi.input_terminated"] = True
        return hashlib.sha256(body).hexdigest()


@blueprint.get("/seen")
def seen() -> dict[str, object]:
    """Return the requests recorded after an offset (default: the end), and the end's offset."""
    with SEEN.open("ab+") as file:
        if "after" in request.args:
            file.seek(int(request.args["after"]))
        lines = file.readlines()
        return {
            "question": request.args["question"],
            "requests": [json.loads(line) for line in lines],
            "end": file.tell(),
        }


@blueprint.route("/echo/<path:name>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def echo(name: str) -> dict[str, object]:
    """Respond with the requested name and the body's hash."""
    return {"name": name, "sha256": hashlib.sha256(request.get_data()).hexdigest()}
