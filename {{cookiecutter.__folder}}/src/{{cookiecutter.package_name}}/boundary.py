"""The boundary of trust: the application sees what trusted proxies set, and no forged copy of it.

Without settings no proxy is trusted. Those of the image trust the sidecar.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, current_app, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

FORWARDED = "HTTP_X_FORWARDED_"
# Other headers that libraries read as a proxy's, and Proxy, which becomes the variable HTTP_PROXY
# (https://httpoxy.org/). Nothing here needs them.
UNUSED = frozenset({"HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_PROXY"})
# Join the log lines and the traces of several services.
IDS = frozenset({"HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_BAGGAGE"})

PREFIX = re.compile(r"(?:/[\w.~-]+){1,8}", re.ASCII)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Boundary:
    """WSGI middleware that removes forwarded headers that no trusted proxy has set.

    Where trusted proxies append to a client's values, only theirs stay: some libraries read the
    header themselves, and take the first value.
    """

    def __init__(self, app: WSGIApplication, settings: Mapping[str, Any]) -> None:
        self.app = app
        self.trusted = {
            FORWARDED + name: count
            for name in ("FOR", "PROTO", "HOST", "PREFIX")
            if (count := settings[f"PROXY_FIX_X_{name}"])
        }
        self.removed = UNUSED if settings["TRUST_REQUEST_ID"] else UNUSED | IDS
        hosts = settings["TRUSTED_HOSTS"]
        self.host = hosts[0].lstrip(".") if hosts else ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for name in [name for name in environ if name.startswith(FORWARDED)]:
            if name not in self.trusted:
                del environ[name]
            elif "," in environ[name]:
                values = environ[name].split(",")
                environ[name] = ",".join(values[-self.trusted[name] :]).strip()
        for name in self.removed:
            environ.pop(name, None)

        prefix = environ.get(FORWARDED + "PREFIX")
        if prefix and not all(PREFIX.fullmatch(path.strip()) for path in prefix.split(",")):
            del environ[FORWARDED + "PREFIX"]

        # How a socket for both IPv6 and IPv4 shows the address of an IPv4 client.
        address = environ.get("REMOTE_ADDR") or ""
        if address.startswith("::ffff:") and "." in address:
            environ["REMOTE_ADDR"] = address.removeprefix("::ffff:")

        # Health checks of platforms use an address as the host, which is not in TRUSTED_HOSTS.
        if self.host and environ.get("PATH_INFO", "").startswith("/health/"):
            environ["HTTP_HOST"] = self.host
            environ.pop(FORWARDED + "HOST", None)

        return self.app(environ, start_response)


def refuse() -> None:
    """Refuse what no view should see.

    Respond with 400 to a header that has a control character; some servers accept them (RFC 9110,
    5.5). Respond with 413 to a long body whether or not the view reads it, which Flask leaves to
    the view.
    """
    environ = request.environ
    text = "".join([environ[name] for name in environ if name.startswith("HTTP_")])
    text += environ.get("CONTENT_TYPE", "")
    # The first check is quick; tabs and some letters beyond ASCII do not pass it either.
    if not text.isprintable() and CONTROL_CHARACTERS.search(text):
        raise BadRequest("A request header contains a control character.")
    if environ.get("CONTENT_LENGTH"):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        if (request.content_length or 0) > limit:
            raise RequestEntityTooLarge


def init_app(app: Flask) -> None:
    """Take the client's address, the scheme, the host and the prefix from trusted proxies."""
    settings = app.config
    # The port stays 0: the proxy knows its own port only, which need not be the published one.
    proxy_fix = ProxyFix(
        app.wsgi_app,
        x_for=settings["PROXY_FIX_X_FOR"],
        x_proto=settings["PROXY_FIX_X_PROTO"],
        x_host=settings["PROXY_FIX_X_HOST"],
        x_port=0,
        x_prefix=settings["PROXY_FIX_X_PREFIX"],
    )
    app.wsgi_app = Boundary(proxy_fix, settings)  # type: ignore[method-assign]
    # One function: Flask spends a microsecond on each that it calls.
    app.before_request(refuse)
