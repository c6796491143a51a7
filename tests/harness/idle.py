"""Checks of idle and slow connections that take half a minute, run in the background."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from .stack import Stack

# A little longer than the proxies' 30 s.
IDLE_SECONDS = 32

# Runs in the application's container, so that no other client has a part in it. Prints the status
# of two responses, with the pause between them; for the second "closed" where that was announced.
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
    """Watch whether the application keeps an idle connection for longer than the proxy does.

    If not, the proxy now and then writes a request into a connection that is just being closed.
    What the script printed is there after IDLE_SECONDS.
    """
    container = stack.container("app")
    pool = ThreadPoolExecutor(1)
    yield pool.submit(lambda: container.exec_run(["python", "-c", SCRIPT]).output.decode().split())
    # Where nobody waited for the script, the end of its container is its own.
    pool.shutdown(wait=False)


# Who sends too little in 15 s has a fifth more for what it sends: MIN_UPLOAD_RATE is 5000.
SLOW_SECONDS = 24


@contextmanager
def watch_slow_upload(stack: Stack) -> Iterator[Future[bytes]]:
    """Watch what is answered to a client that sends 1000 bytes of a large body each second.

    The start of the response is there when it came, or nothing after SLOW_SECONDS.
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
