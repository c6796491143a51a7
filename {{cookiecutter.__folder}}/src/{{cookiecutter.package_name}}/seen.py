"""What the application sees of a request, and of whom: for the front page, in development."""

from typing import NamedTuple

from flask import current_app, g, request


class Fact(NamedTuple):
    """One thing that is seen, where it comes from, and what is strange about that, if anything."""

    name: str
    value: str
    source: str
    doubt: str = ""


def facts() -> list[Fact]:
    """Return what the application sees of the current request."""
    peer = request.environ["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"]
    given = request.headers.get("X-Request-ID") == g.request_id
    config = current_app.config
    return [
        Fact(
            "Server",
            request.environ.get("SERVER_SOFTWARE") or "says no name",
            f"the image runs {config['SERVED_BY']}",
        ),
        Fact("Proxy", peer, f"who connects to the server; it should be {config['BEHIND']}"),
        _told("Client address", request.remote_addr or "unknown", "For"),
        _told("Scheme", request.scheme, "Proto"),
        _told("Host", request.host, "Host"),
        # A service without a prefix is usual.
        _told("Path prefix", request.root_path or "/", "Prefix")._replace(doubt=""),
        Fact(
            "Request id",
            g.request_id,
            "from X-Request-ID" if given else "made here: no proxy gave a good one",
        ),
    ]


def _told(name: str, value: str, about: str) -> Fact:
    """Return a fact that proxies tell in a header, compared with how many of them are trusted."""
    header, setting = f"X-Forwarded-{about}", f"PROXY_FIX_X_{about.upper()}"
    trusted = current_app.config[setting]
    if not trusted:
        return Fact(name, value, f"{header} is not believed: {setting} is 0")
    text = request.headers.get(header, "")
    found = len(text.split(",")) if text else 0
    doubt = ""
    if found < trusted:
        doubt = (
            "Fewer values than trusted proxies, so none is believed. Ask through "
            f"{current_app.config['BEHIND']}, or set {setting} to {found}."
        )
    return Fact(name, value, f"{header}: {text or 'none'}; trusted proxies: {trusted}", doubt)
