"""Waitress: one process, some threads. https://docs.pylonsproject.org/projects/waitress/

Its own command stops by dropping what still runs after five seconds, and as a container's first
process ignores SIGTERM; so the loop is run here, by Waitress's public parts.
"""

import os
import re
import signal
import socket
import sys
import time
from importlib import import_module

from waitress import create_server, parser, rfc7230, wasyncore
from waitress.channel import HTTPChannel


def main() -> None:
    """Serve until a signal says to stop, then finish the requests in flight."""
    # Nothing is there to finish yet; by itself a container's first process would ignore it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    app = import_module("{{ cookiecutter.package_name }}.wsgi").app

    # Waitress 3.0.2's pattern takes quadratic time for a field that begins with thousands of spaces
    # and tabs: 16 KB of them would stop the whole process for seconds. Possessive, it takes linear
    # time.
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
        # Longer than the proxy keeps a connection, so that it never writes into one being closed.
        channel_timeout=75,
        # Above what the proxy lets through.
        connection_limit=1000,
        max_request_body_size=1 << 40,
        # The application believes the proxy's X-Forwarded headers (ProxyFix); Waitress would drop
        # them.
        clear_untrusted_proxy_headers=False,
        # Read ahead while a request is served: keep-alive connections answer several times faster.
        channel_request_lookahead=1,
        ident=None,
    )
    stopping = False

    def stop(*_: object) -> None:
        """Ask the loop to end; writing to the pipe wakes it."""
        nonlocal stopping
        stopping = True
        server.pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        wasyncore.loop(map=connections, count=1, use_poll=True)

    # Close the listener alone: server.close() would take the wake-up pipe too, which answers need.
    wasyncore.dispatcher.close(server)
    deadline = time.monotonic() + int(os.environ["GRACEFUL_TIMEOUT"])
    while busy(connections) and time.monotonic() < deadline:
        wasyncore.loop(timeout=0.1, map=connections, count=1, use_poll=True)


def place() -> dict[str, object]:
    """Return where to listen, as Waitress takes it."""
    if path := os.environ.get("UNIX_SOCKET"):
        # Whoever reaches its folder may connect.
        return {"unix_socket": path, "unix_socket_perms": "666"}
    # One socket for both: given an address, Waitress makes one for IPv6 alone.
    address = os.environ["LISTEN_ADDRESS"].strip("[]"), int(os.environ["PORT"])
    both = address[0] == "::"
    family = socket.AF_INET6 if both else socket.AF_INET
    return {"sockets": [socket.create_server(address, family=family, dualstack_ipv6=both)]}


def busy(connections: dict[int, wasyncore.dispatcher]) -> bool:
    """Say whether a request is being received, served, or answered."""
    return any(
        connection.request or connection.requests or connection.total_outbufs_len
        for connection in connections.values()
        if isinstance(connection, HTTPChannel)
    )


# A process that a view starts by spawn or forkserver imports this file again.
if __name__ == "__main__":
    main()
