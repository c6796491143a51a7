"""What the application receives with a request: the front page shows it in development."""

from typing import NamedTuple

from flask import current_app, g, request


class Fact(NamedTuple):
    """One value, where it comes from, and a warning if it looks wrong."""

    name: str
    value: str
    source: str
    warning: str = ""


def facts() -> list[Fact]:
    """Return what the application receives with the current request."""
    peer = request.environ["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"]
    given = request.headers.get("X-Request-ID") == g.request_id
    config = current_app.config
    return [
        Fact(
            "Server",
            request.environ.get("SERVER_SOFTWARE") or "not named",
            f"the image runs {config['SERVED_BY']}",
        ),
        Fact("Proxy", peer, f"the peer of the connection; it should be {config['BEHIND']}"),
        _forwarded("Client address", request.remote_addr or "unknown", "For"),
        _forwarded("Scheme", request.scheme, "Proto"),
        _forwarded("Host", request.host, "Host"),
        # Most services have no prefix.
        _forwarded("Path prefix", request.root_path or "/", "Prefix")._replace(warning=""),
        Fact(
            "Request id",
            g.request_id,
            "from X-Request-ID" if given else "generated here: no proxy sent a valid one",
        ),
    ]


def _forwarded(name: str, value: str, part: str) -> Fact:
    """Return the value of a forwarded header; warn if fewer proxies set it than are trusted."""
    header, setting = f"X-Forwarded-{part}", f"PROXY_FIX_X_{part.upper()}"
    trusted = current_app.config[setting]
    if not trusted:
        return Fact(name, value, f"{header} is ignored: {setting} is 0")
    text = request.headers.get(header, "")
    found = len(text.split(",")) if text else 0
    warning = ""
    if found < trusted:
        warning = (
            "Fewer values than trusted proxies, so the header is ignored. Send requests through "
            f"{current_app.config['BEHIND']}, or set {setting} to {found}."
        )
    return Fact(name, value, f"{header}: {text or 'none'}; trusted proxies: {trusted}", warning)
