"""A private package index: HTTPS with its own certificate, and a password."""

import base64
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from packaging.utils import canonicalize_name

USER, PASSWORD = "reader", "c0mpany-s3cret"


@dataclass(frozen=True)
class Index:
    """A running index; ``authority`` is a file with the CA certificate that signed its own."""

    address: str
    authority: Path

    def url(self, password: str = PASSWORD) -> str:
        """Return the index URL for pip and uv, including the password."""
        return f"https://{USER}:{password}@{self.address}/simple/"


def _handler(wheels: Path) -> type[BaseHTTPRequestHandler]:
    """Return a request handler that serves the simple API and the files for a folder of wheels."""
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            *_, kind, name = self.path.rstrip("/").split("/")
            if self.headers["Authorization"] != expected:
                self._respond(HTTPStatus.UNAUTHORIZED)
            elif kind == "files" and (wheels / name).is_file():
                self._respond(HTTPStatus.OK, (wheels / name).read_bytes())
            elif links := [_link(file) for file in _of_project(wheels, name)]:
                self._respond(HTTPStatus.OK, "\n".join(links).encode(), "text/html")
            else:
                self._respond(HTTPStatus.NOT_FOUND)

        do_HEAD = do_GET

        def _respond(self, status: int, body: bytes = b"", kind: str = "application/zip") -> None:
            self.send_response(status)
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def _of_project(wheels: Path, name: str) -> list[Path]:
    return [
        file for file in wheels.glob("*.whl") if canonicalize_name(file.name.split("-")[0]) == name
    ]


def _link(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f'<a href="/files/{file.name}#sha256={digest}">{file.name}</a>'


@contextmanager
def private_index(wheels: Path, host: str, scratch: Path) -> Iterator[Index]:
    """Serve a folder of wheels at ``host``, an address of this machine, while the block runs."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    file = scratch / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    with ThreadingHTTPServer((host, 0), _handler(wheels)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Index(f"{host}:{server.server_port}", file)
        finally:
            server.shutdown()
