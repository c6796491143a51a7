"""The trust boundary: forwarded headers from trusted proxies only, none that a client forged.

By default no proxy is trusted. The image's settings trust the sidecar.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, current_app, redirect, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

FORWARDED = "HTTP_X_FORWARDED_"
# Other headers that libraries take for a proxy's, and Proxy, which becomes the variable HTTP_PROXY
# (https://httpoxy.org/). The application does not need them.
UNUSED = frozenset({"HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_PROXY"})
# These connect the log lines and traces of several services.
IDS = frozenset({"HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_BAGGAGE"})

PREFIX = re.compile(r"(?:/[\w.~-]+){1,8}", re.ASCII)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Boundary:
    """WSGI middleware that removes forwarded headers that no trusted proxy has set.

    If trusted proxies appended to values from the client, only theirs are kept: some libraries read
    the header themselves and use the first value.
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

        # A dual-stack socket shows an IPv4 client's address in this form.
        address = environ.get("REMOTE_ADDR") or ""
        if address.startswith("::ffff:") and "." in address:
            environ["REMOTE_ADDR"] = address.removeprefix("::ffff:")

        # Platforms send health checks with an address as the host, which is not in TRUSTED_HOSTS.
        if self.host and environ.get("PATH_INFO", "").startswith("/health/"):
            environ["HTTP_HOST"] = self.host
            environ.pop(FORWARDED + "HOST", None)

        return self.app(environ, start_response)


def check_request() -> None:
    """Reject a request that no view should handle.

    The response is 400 if a header contains a control character, which some servers accept (RFC
    9110, 5.5), and 413 if the body is too long: Flask checks the length only if the view reads it.
    """
    environ = request.environ
    text = "".join([environ[name] for name in environ if name.startswith("HTTP_")])
    text += environ.get("CONTENT_TYPE", "")
    # The first check is fast, but also fails for tabs and some characters that are not ASCII.
    if not text.isprintable() and CONTROL_CHARACTERS.search(text):
        raise BadRequest("A request header contains a control character.")
    if environ.get("CONTENT_LENGTH"):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        if (request.content_length or 0) > limit:
            raise RequestEntityTooLarge


def redirect_to_https() -> Response | None:
    """Redirect plain HTTP to HTTPS, except for health checks."""
    if request.is_secure or request.blueprint == "health":
        return None
    return redirect(request.url.replace("http:", "https:", 1), 308)


def init_app(app: Flask) -> None:
    """Take the client's address, the scheme, the host and the prefix from trusted proxies."""
    settings = app.config
    # x_port is 0, because the proxy knows only its own port, not the published one.
    proxy_fix = ProxyFix(
        app.wsgi_app,
        x_for=settings["PROXY_FIX_X_FOR"],
        x_proto=settings["PROXY_FIX_X_PROTO"],
        x_host=settings["PROXY_FIX_X_HOST"],
        x_port=0,
        x_prefix=settings["PROXY_FIX_X_PREFIX"],
    )
    app.wsgi_app = Boundary(proxy_fix, settings)  # type: ignore[method-assign]
    # One function for both checks, because Flask needs a microsecond to call each hook.
    app.before_request(check_request)
    if settings["HTTPS_REDIRECT"]:
        app.before_request(redirect_to_https)
