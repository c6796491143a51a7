"""Exit 0 when the application answers /health/live: the image's HEALTHCHECK, without curl.

It runs on the application's own CPU, most often while that is starting. So it speaks HTTP itself:
to import Python's client takes longer than all that is done here.
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
    # To its end: some servers log an error when a client leaves in the middle of an answer.
    answer = b"".join(iter(lambda: connection.recv(4096), b""))
if not answer.startswith(b"HTTP/1.1 200 "):
    status = answer[9:12].decode() or "nothing"
    # Waiting would not help, and the engine says nothing for minutes: so say it, and stop the
    # container. Only where the engine started this, which has no parent then.
    if status == "404" and os.getppid() == 0:
        message = "/health/live answered 404: register health.blueprint, or a route of your own"
        with Path("/proc/1/fd/2").open("w") as log:
            log.write('{"level": "ERROR", "message": "' + message + '"}\n')
        os.kill(1, signal.SIGTERM)
    raise SystemExit(f"/health/live answered {status}")
