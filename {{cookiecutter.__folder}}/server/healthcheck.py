"""The image's HEALTHCHECK: exit with 0 if /health/live responds with 200.

It uses a socket, because importing Python's HTTP client takes longer than the whole check. The
check runs most often at startup, when the application needs the CPU.
"""

import os
import signal
import socket
from pathlib import Path

from start import DEFAULTS

port = int(os.environ.get("PORT") or DEFAULTS["PORT"])
request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
    connection.sendall(request.encode())
    # Read the whole response: some servers log an error if the client closes the connection early.
    response = b"".join(iter(lambda: connection.recv(4096), b""))
if not response.startswith(b"HTTP/1.1 200 "):
    status = response[9:12].decode() or "no response"
    # A missing route is permanent, but the engine would retry for minutes without a message. Log it
    # and stop the container, but only if the engine runs this check: it has no parent then.
    if status == "404" and os.getppid() == 0:
        message = "/health/live returned 404: register health.blueprint or a route of your own"
        with Path("/proc/1/fd/2").open("w") as log:
            log.write('{"level": "ERROR", "message": "' + message + '"}\n')
        os.kill(1, signal.SIGTERM)
    raise SystemExit(f"/health/live returned {status}")
