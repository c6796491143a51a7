"""The observed result of a case on a pair, without values that always differ, such as times."""

import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .wire import Conversation, Reply

# Keys of the environ that are not compared, each with the reason. All others are.
NOT_COMPARED = {
    "wsgi.*": "PEP 3333 lets servers choose these; wsgi.url_scheme is compared below",
    "gunicorn.*": "the server's own",
    "uwsgi.*": "the server's own",
    "mod_wsgi.*": "the server's own",
    "waitress.*": "the server's own",
    "eventlet.*": "the server's own",
    "headers_raw": "eventlet's own",
    "RAW_PATH_INFO": "eventlet's own",
    "granian.*": "the server's own",
    "hypercorn.*": "the server's own",
    "werkzeug.*": "the application's own",
    "apache.*": "mod_wsgi's own",
    "REQUEST_URI": "no key of PEP 3333; the application must not depend on it",
    "RAW_URI": "no key of PEP 3333, Gunicorn's name of REQUEST_URI",
    "SERVER_SOFTWARE": "names the server",
    "SERVER_NAME": "PEP 3333: HTTP_HOST, if present, is used instead",
    "SERVER_PORT": "the same",
    "REMOTE_ADDR": "the proxy's address, which the engine chooses; flask.remote_addr is compared",
    "REMOTE_HOST": "no key of PEP 3333: the proxy's address again",
    "REMOTE_PORT": "no key of PEP 3333: the proxy's port",
    "GATEWAY_INTERFACE": "CGI's, no key of PEP 3333",
    "REQUEST_SCHEME": "CGI of httpd (mod_wsgi): wsgi.url_scheme",
    "CONTEXT_*": "CGI of httpd (mod_wsgi)",
    "DOCUMENT_ROOT": "CGI of httpd (mod_wsgi) and uWSGI",
    "SCRIPT_FILENAME": "CGI of httpd (mod_wsgi)",
    "PATH_TRANSLATED": "CGI of httpd (mod_wsgi)",
    "SERVER_ADDR": "CGI of httpd (mod_wsgi)",
    "SERVER_ADMIN": "CGI of httpd (mod_wsgi)",
    "SERVER_SIGNATURE": "CGI of httpd (mod_wsgi)",
    "PATH": "CGI of httpd (mod_wsgi): the process's own",
    "REDIRECT_*": "CGI of httpd (mod_wsgi): these mark a second, internal request",
    "HTTP_CONNECTION": "about the connection between proxy and server (RFC 9110, 7.6.1)",
}
# PEP 3333: these may be empty or missing.
MAY_BE_MISSING = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH")

# Response headers whose values always differ, each with the reason.
ANY_VALUE = {
    "date": "the time",
    "x-request-id": "each request's own",
    "server": "names the proxy",
    "etag": "opaque (RFC 9110, 8.8.3); for static files, it depends on their time in the image",
    "last-modified": "for static files, it is the time of the build",
}
# Lists whose order has no meaning (RFC 9110, 10.2.1 and 12.5.5).
UNORDERED = ("allow", "vary")
# Not compared: they apply to this connection only, which the aspect "connection" covers.
HOP_BY_HOP = ("connection", "keep-alive")

# Texts in the proxies' own error pages, and in those of the Apache in mod_wsgi's server.
OWN_PAGES = (
    b"<center>nginx</center>",
    b"<!DOCTYPE HTML PUBLIC ",
    b'<link rel="stylesheet" href="/static/style.css">',
)


@dataclass
class Observation:
    """What the client and the application received, and what the proxy logged."""

    conversation: Conversation
    seen: list[dict[str, str]] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)
    # The client's address in the stack's network.
    client: str = ""

    @property
    def replies(self) -> list[Reply]:
        """The responses to the case's own requests."""
        return [reply for reply in self.conversation.replies if not is_canary(reply)]

    @property
    def ids(self) -> list[str]:
        """The request IDs of these responses."""
        return [value for reply in self.replies for value in reply.values(ID)]

    @property
    def outcomes(self) -> list[str]:
        """The results of the requests, in order."""
        parts = [f"{reply.status} {source(reply)}" for reply in self.replies]
        if self.conversation.rest:
            parts.append("garbage")
        ids = {value for reply in self.conversation.replies for value in reply.values(ID)}
        unanswered = [each for each in self.seen if each.get("HTTP_X_REQUEST_ID") not in ids]
        if unanswered or len(self.own_seen) > len(self.replies):
            parts.append(f"{len(self.own_seen)} requests at the application")
        return parts

    @property
    def outcome(self) -> str:
        """The results in one line. Other aspects are compared among pairs with equal outcomes."""
        return ", ".join(self.outcomes) or "no response"

    @property
    def own_seen(self) -> list[dict[str, str]]:
        """The application's records of the case's own requests."""
        return [record for record in self.seen if record.get("PATH_INFO") != "/canary"]

    @property
    def connection(self) -> str:
        """Whether the canary after the case was served, or else how the connection ended."""
        served = len(self.replies) < len(self.conversation.replies)
        return "goes on" if served else self.conversation.ended

    def aspects(self, *, with_log: bool = True) -> dict[str, str]:
        """Return all other aspects by name, as text that can be compared between pairs."""
        found: dict[str, list[str]] = {"connection": [self.connection]}

        def add(name: str, value: str) -> None:
            if self.client:
                value = value.replace(self.client, "CLIENT")
            found.setdefault(name, []).append(value)

        for number, reply in enumerate(self.replies, 1):
            for name, value in aspects_of_reply(reply):
                add(f"reply.{name}", f"{number}: {value}")
        for number, record in enumerate(self.own_seen, 1):
            for name, value in sorted(record.items()):
                if compared(name) and (value or name not in MAY_BE_MISSING):
                    add(f"app.{name}", f"{number}: {comparable(name, value)}")
        if with_log:
            for number, entry in enumerate(self.logged, 1):
                for name in LOGGED:
                    # If the request could not be parsed, nginx writes nothing and httpd writes "-".
                    add(f"log.{name}", f"{number}: {entry.get(name) or '-'}")
        return {name: "\n".join(values) for name, values in found.items()}


def aspects_of_reply(reply: Reply) -> Iterator[tuple[str, str]]:
    """Yield the aspects of a response that are compared."""
    page, boundary = source(reply) == "page", boundary_of(reply)
    # An empty body has Content-Length 0 if the proxy knew it in time, else only the last chunk.
    empty = reply.framing != "none" and reply.whole and not reply.body
    yield "version", reply.version
    if not page:
        framing = "empty" if empty else reply.framing
        yield "framing", framing + ("" if reply.whole else ", cut off")
        yield "body", reply.body.decode("latin-1").replace(boundary, "BOUNDARY")
    fields: dict[str, list[str]] = {}
    for name, value in reply.fields:
        fields.setdefault(name.lower(), []).append(value)
    for name, values in sorted(fields.items()):
        if name in HOP_BY_HOP or (page and name in OF_A_PAGE) or (empty and name in FRAMING):
            continue
        # Lines with the same name form one list (RFC 9110, 5.3), except cookies (RFC 6265, 3).
        value = "\n".join(values) if name == "set-cookie" else ", ".join(values)
        if name in ANY_VALUE or (boundary != NONE and name == "content-length"):
            value = "any"
        elif name in UNORDERED:
            value = ", ".join(sorted(re.split(r", ?", value)))
        yield f"field.{name}", value.replace(boundary, "BOUNDARY")


def is_canary(reply: Reply) -> bool:
    """Return whether this is the response to the canary, which is sent after the case."""
    return bool(reply.values("X-Recorded")) and b'"path":"/canary"' in reply.body


# Fields of the proxy's line of a request that are compared.
LOGGED = ("client", "method", "host", "uri", "protocol", "status", "user_agent", "referrer")
FRAMING = ("content-length", "transfer-encoding")
ID = "X-Request-ID"
# A text that no response contains.
NONE = "\0no boundary\0"
# Headers that may differ on error pages of proxies: only the fact that it is one is compared.
OF_A_PAGE = (
    *("content-type", "content-length", "transfer-encoding", "etag", "last-modified", "vary"),
    "accept-ranges",
)


def boundary_of(reply: Reply) -> str:
    """Return the boundary between the parts of a multi-range response, which is random."""
    (kind,) = reply.values("Content-Type")[:1] or [""]
    return kind.partition("boundary=")[2].strip('"') or NONE


def compared(name: str) -> bool:
    """Return whether a key of the environ is compared."""
    if name == "wsgi.url_scheme":
        return True
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in NOT_COMPARED)


def comparable(name: str, value: str) -> str:
    """Return a value of the environ without differences that have no meaning."""
    if name == "HTTP_X_REQUEST_ID":
        return "any"
    if name.startswith("HTTP_") and name != "HTTP_COOKIE":
        # Lines with the same name form one list, with or without spaces (RFC 9110, 5.3, 5.6.1).
        return re.sub(r"[ \t]*,[ \t]*", ", ", value).strip()
    return value


def source(reply: Reply) -> str:
    """Return the source of a response: application, server, or proxy (a file or an error page)."""
    if reply.values("X-Recorded"):
        return "application"
    if reply.status < 400:
        return "proxy"
    if not reply.body or any(mark in reply.body for mark in OWN_PAGES):
        return "page"
    return "server"


def parse_log(line: bytes) -> dict[str, Any] | None:
    """Return a parsed line of the proxy's access log, or None for other lines."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    is_access = isinstance(entry, dict) and entry.get("logger") == "proxy.access"
    return entry if is_access else None
