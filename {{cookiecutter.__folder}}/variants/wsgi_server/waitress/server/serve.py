"""Waitress: one process with threads. https://docs.pylonsproject.org/projects/waitress/

The waitress-serve command drops requests that run for more than five seconds during shutdown. So
this file runs the loop.
"""

import os
import re
import signal
import socket
import time
from importlib import import_module

from waitress import create_server, parser, rfc7230, wasyncore
from waitress.channel import HTTPChannel


def main() -> None:
    """Serve until a stop signal, then finish in-flight requests."""
    app = import_module("{{ cookiecutter.package_name }}.wsgi").app

    # Waitress 3.0.2's pattern takes quadratic time for a field that begins with thousands of spaces
    # and tabs: 16 KB would block the process for seconds. With a possessive quantifier, the time is
    # linear.
    parser.HEADER_FIELD_RE = re.compile(
        rfc7230.HEADER_FIELD_RE.pattern.replace(rfc7230.OWS.encode(), rb"[ \t]*+")
    )

    # Waitress keeps its listener, its wake-up pipe and every client connection in this map.
    connections: dict[int, wasyncore.dispatcher] = {}
    server = create_server(
        app,
        map=connections,
        **place(),
        threads=int(os.environ["WEB_THREADS"]),
        # Longer than the proxy keeps idle connections, so that it does not send on a closing one.
        channel_timeout=75,
        # Higher than the proxy's limits.
        connection_limit=1000,
        max_request_body_size=1 << 40,
        # ProxyFix needs the proxy's X-Forwarded headers, which Waitress would remove.
        clear_untrusted_proxy_headers=False,
        # Read ahead during a request: responses on kept connections are several times faster.
        channel_request_lookahead=1,
        ident=None,
    )
    stopping = False

    def stop(*_: object) -> None:
        """Tell the loop to end. Writing to the pipe wakes it."""
        nonlocal stopping
        stopping = True
        server.pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        wasyncore.loop(map=connections, count=1, use_poll=True)

    # Close only the listener: server.close() would close the wake-up pipe too, which responses use.
    wasyncore.dispatcher.close(server)
    deadline = time.monotonic() + int(os.environ["GRACEFUL_TIMEOUT"])
    while busy(connections) and time.monotonic() < deadline:
        wasyncore.loop(timeout=0.1, map=connections, count=1, use_poll=True)


def place() -> dict[str, object]:
    """Return Waitress's arguments for the address to listen on."""
    if path := os.environ.get("UNIX_SOCKET"):
        # Access is controlled by the permissions of its folder.
        return {"unix_socket": path, "unix_socket_perms": "666"}
    # One socket for IPv6 and IPv4: from an address, Waitress would create one for IPv6 only.
    address = os.environ["LISTEN_ADDRESS"].strip("[]"), int(os.environ["PORT"])
    both = address[0] == "::"
    family = socket.AF_INET6 if both else socket.AF_INET
    return {"sockets": [socket.create_server(address, family=family, dualstack_ipv6=both)]}


def busy(connections: dict[int, wasyncore.dispatcher]) -> bool:
    """Return whether a request is in flight: being received, in a view or being responded to."""
    return any(
        connection.request or connection.requests or connection.total_outbufs_len
        for connection in connections.values()
        if isinstance(connection, HTTPChannel)
    )


# Processes that views start by spawn or forkserver import this file again.
if __name__ == "__main__":
    main()
