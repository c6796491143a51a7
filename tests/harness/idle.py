"""Whether the application keeps an idle connection for longer than the proxy does.

If not, the proxy now and then writes a request into a connection that is just being closed.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from .stack import Stack

# A little longer than the proxies' 30 s.
IDLE_SECONDS = 32

# Runs in the application's container, so that no other client has a part in it. Prints the status
# of two answers, with the pause between them; for the second "closed" where that was announced.
SCRIPT = f"""
import http.client, os, socket
client = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or 8000), timeout=20)
for attempt in range(2):
    client.request("GET", "/health/live")
    answer = client.getresponse()
    answer.read()
    print(answer.status)
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
    """Start the script; what it printed is there after IDLE_SECONDS."""
    container = stack.container("app")
    pool = ThreadPoolExecutor(1)
    yield pool.submit(lambda: container.exec_run(["python", "-c", SCRIPT]).output.decode().split())
    # Where nobody waited for the script, the end of its container is its own.
    pool.shutdown(wait=False)
