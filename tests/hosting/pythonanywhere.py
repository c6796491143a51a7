"""An emulation of PythonAnywhere's API, for the real client.

It accepts the calls that the page makes, and rejects all others. Their paths, fields and responses
are those of the client's own library, pythonanywhere-core 0.3.3, and its tests, and of
https://help.pythonanywhere.com/pages/API and https://help.pythonanywhere.com/pages/ASGIAPI.
"""

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import trustme

# The platform's names for its Python versions.
PYTHON = re.compile(r"python3\d\d?")


class RefusedError(Exception):
    """A call that the platform would reject, with the status of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status


def checked(found: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the fields. Raises RefusedError unless they have these names and are not empty."""
    if set(found) != set(names) or not all(found.values()):
        raise RefusedError(400, f"fields {found}, not {names}")
    return found


@dataclass
class Account:
    """The state of one account, and the calls that it received."""

    user: str
    token: str
    webapps: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    # By domain, then by URL path.
    static_files: dict[str, dict[str, str]] = field(default_factory=dict)
    websites: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def response(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        """Return the status and the content for one request."""
        kind = headers.get("Content-Type", "").partition(";")[0]
        self.calls.append(f"{method} {path}")
        try:
            if headers.get("Authorization") != f"Token {self.token}":
                raise RefusedError(401, "Invalid token.")
            for wanted, pattern, media, act in ROUTES:
                place = re.fullmatch(pattern.replace("USER", re.escape(self.user)), path)
                if place and wanted == method:
                    if kind != media:
                        raise RefusedError(415, f"{kind!r}, not {media!r}")
                    return act(self, *place.groups(), *PARSERS[media](headers, body))
            raise RefusedError(404, "Not found.")
        except RefusedError as error:
            self.refused.append(f"{method} {path} {error}")
            return error.status, {"detail": str(error)}

    def existing(self, table: Mapping[str, Any], domain: str) -> None:
        if domain not in table:
            raise RefusedError(404, f"{domain} does not exist")

    def find_webapp(self, domain: str) -> tuple[int, Any]:
        # The client uses this call to check whether a web app exists: 404 is not an error.
        if domain not in self.webapps:
            return 404, {"detail": "Not found."}
        return 200, {"domain_name": domain} | self.webapps[domain]

    def create_webapp(self, fields: Mapping[str, str]) -> tuple[int, Any]:
        domain = checked(fields, "domain_name", "python_version")["domain_name"]
        if domain in self.webapps or domain in self.websites:
            raise RefusedError(400, "domain with this domain name already exists")
        if not PYTHON.fullmatch(fields["python_version"]):
            raise RefusedError(400, f"{fields['python_version']} is not a Python version")
        self.webapps[domain] = {"python_version": fields["python_version"], "reloads": 0}
        self.static_files[domain] = {}
        # The platform's default file, to be replaced.
        self.files[f"/var/www/{domain.replace('.', '_')}_wsgi.py"] = b""
        return 201, {"status": "OK"}

    def change_webapp(self, domain: str, fields: Mapping[str, str]) -> tuple[int, Any]:
        self.existing(self.webapps, domain)
        self.webapps[domain] |= checked(fields, "virtualenv_path", "source_directory")
        return 200, self.webapps[domain]

    def reload_webapp(self, domain: str) -> tuple[int, Any]:
        self.existing(self.webapps, domain)
        self.webapps[domain]["reloads"] += 1
        return 200, {"status": "OK"}

    def delete_webapp(self, domain: str) -> tuple[int, Any]:
        self.existing(self.webapps, domain)
        self.deleted[domain] = self.webapps.pop(domain)
        return 204, None

    def map_static_files(self, domain: str, fields: Mapping[str, str]) -> tuple[int, Any]:
        self.existing(self.webapps, domain)
        checked(fields, "url", "path")
        self.static_files[domain][fields["url"]] = fields["path"]
        return 201, {"id": len(self.static_files[domain])} | dict(fields)

    def upload(self, path: str, content: bytes) -> tuple[int, Any]:
        if not path.startswith((f"/home/{self.user}/", "/var/www/", "/tmp/")):  # noqa: S108
            raise RefusedError(403, "not one of this account's folders")
        status = 200 if path in self.files else 201
        self.files[path] = content
        return status, None

    def create_website(self, fields: Mapping[str, Any]) -> tuple[int, Any]:
        domain = checked(fields, "domain_name", "enabled", "webapp")["domain_name"]
        if domain in self.webapps or domain in self.websites:
            raise RefusedError(400, "domain with this domain name already exists")
        self.websites[domain] = checked(fields["webapp"], "command")["command"]
        return 201, dict(fields) | {"id": 1, "user": self.user}

    def reload_website(self, domain: str) -> tuple[int, Any]:
        self.existing(self.websites, domain)
        return 200, {"status": "OK"}


def uploaded(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the only file of a form. Raises RefusedError unless it is named "content"."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + body).get_payload()
    if part.get_param("name", header="Content-Disposition") != "content":
        raise RefusedError(400, "the file is not named content")
    return part.get_payload(decode=True)


NOTHING, FORM, JSON, FILE = (
    "",
    "application/x-www-form-urlencoded",
    "application/json",
    "multipart/form-data",
)
PARSERS: dict[str, Callable[[Mapping[str, str], bytes], tuple[Any, ...]]] = {
    NOTHING: lambda _headers, _body: (),
    FORM: lambda _headers, body: (dict(parse_qsl(body.decode(), keep_blank_values=True)),),
    JSON: lambda _headers, body: (json.loads(body),),
    FILE: lambda headers, body: (uploaded(headers, body),),
}
OLD, NEW = "/api/v0/user/USER", "/api/v1/user/USER"
ROUTES: list[tuple[str, str, str, Callable[..., tuple[int, Any]]]] = [
    ("GET", f"{OLD}/webapps/([^/]+)/", NOTHING, Account.find_webapp),
    ("POST", f"{OLD}/webapps/", FORM, Account.create_webapp),
    ("PATCH", f"{OLD}/webapps/([^/]+)/", FORM, Account.change_webapp),
    ("DELETE", f"{OLD}/webapps/([^/]+)/", NOTHING, Account.delete_webapp),
    ("POST", f"{OLD}/webapps/([^/]+)/reload/", NOTHING, Account.reload_webapp),
    ("POST", f"{OLD}/webapps/([^/]+)/static_files/", JSON, Account.map_static_files),
    ("POST", f"{OLD}/files/path(/.+)", FILE, Account.upload),
    ("POST", f"{NEW}/websites/", JSON, Account.create_website),
    ("POST", f"{NEW}/websites/([^/]+)/reload/", NOTHING, Account.reload_website),
]


@contextmanager
def api(account: Account, folder: Path) -> Iterator[dict[str, str]]:
    """Serve an account over HTTPS; yield the environment variables that the client needs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = account.response(self.command, self.path, self.headers, body)
            sent = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Log nothing: the account records the calls."""

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {
                "PYTHONANYWHERE_SITE": f"localhost:{server.server_port}",
                "PYTHONANYWHERE_USERNAME": account.user,
                "API_TOKEN": account.token,
                "REQUESTS_CA_BUNDLE": str(folder / "authority.pem"),
            }
        finally:
            server.shutdown()
