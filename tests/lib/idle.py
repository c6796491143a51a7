"""Checks of idle and slow connections that take half a minute, run in the background."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from .stack import Stack

# A little longer than the proxies' 30 s.
IDLE_SECONDS = 32

# Runs in the application's container, without another client in between. Requests twice, with the
# pause between the requests, and prints each status; or "closed" if the first response announced
# the end of the connection, or "dropped" if the connection ended during the pause.
SCRIPT = f"""
import http.client, os, socket
client = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or 8000), timeout=20)
for attempt in range(2):
    client.request("GET", "/health/live")
    response = client.getresponse()
    response.read()
    print(response.status)
    if client.sock is None:
        print("closed")
        break
    if attempt == 0:
        client.sock.settimeout({IDLE_SECONDS})
        try:
            client.sock.recv(1)
            print("dropped")
            break
        except TimeoutError:
            client.sock.settimeout(20)
"""


@contextmanager
def watch_idle_connection(stack: Stack) -> Iterator[Future[list[str]]]:
    """Check that the application keeps an idle connection open for longer than the proxy does.

    If not, the proxy sometimes sends a request on a connection that is just being closed.
    The script's output is available after IDLE_SECONDS.
    """
    container = stack.container("app")
    pool = ThreadPoolExecutor(1)
    yield pool.submit(lambda: container.exec_run(["python", "-c", SCRIPT]).output.decode().split())
    # If no test waited for the script, it ends with its container.
    pool.shutdown(wait=False)


# The limit is 15 s, and 1 s more per 5000 bytes (MIN_UPLOAD_RATE): about 19 s at 1000 B/s.
SLOW_SECONDS = 24


@contextmanager
def watch_slow_upload(stack: Stack) -> Iterator[Future[bytes]]:
    """Record the response to a client that sends 1000 bytes of a large body each second.

    The result is the start of the response, or nothing if there was none within SLOW_SECONDS.
    """
    port = stack.port
    head = b"POST /probe/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"

    def upload() -> bytes:
        deadline = time.monotonic() + SLOW_SECONDS
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(head)
            while time.monotonic() < deadline:
                try:
                    return client.recv(4096)
                except TimeoutError:
                    client.sendall(bytes(1000))
        return b""

    pool = ThreadPoolExecutor(1)
    yield pool.submit(upload)
    pool.shutdown(wait=False)
