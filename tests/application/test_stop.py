"""In-flight requests complete during shutdown, whatever the view waits for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
import requests

from tests.lib.stack import Stack, wait_until

from .together import AT_A_TIME, MIXED, together

pytestmark = pytest.mark.destructive

KINDS = ["call", "stream", "subprocess", "thread"]


def test_stop(restored: Stack):
    """Outgoing calls, streams, subprocesses and threads in flight when the service stops."""
    app = restored.container("app")
    before = len(app.logs().splitlines())

    def begun() -> bool:
        log = app.logs().decode().splitlines()[before:]
        return all(any(f"slow: began {kind}" in line for line in log) for kind in KINDS)

    with ThreadPoolExecutor(1) as pool:
        requests = pool.submit(together, restored, [f"/slow/{kind}" for kind in KINDS])
        wait_until(begun, timeout=5)
        restored.compose("stop app")
        responses = requests.result()
    assert [(response.status_code, response.text) for response in responses] == [
        (200, "whole\n")
    ] * len(KINDS)
    app.reload()
    assert app.attrs["State"]["ExitCode"] == 0
    assert "slow: closed" in app.logs().decode().splitlines()[before:]


def test_stop_under_load(restored: Stack):
    """Requests of all kinds when the service stops."""
    paths = [path for path in dict.fromkeys(MIXED) if not path.startswith("/failures/")]
    paths.append("/threads/hold")
    whole, other = set(), []
    stopped = threading.Event()
    url = restored.url

    def send(number: int) -> None:
        for path in cycle(paths[number:] + paths[:number]):
            response = requests.get(url + path, timeout=40)
            if response.status_code == 200:
                whole.add(path)
            else:
                other.append((path, response.status_code))
            if stopped.is_set():
                return

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        clients = [pool.submit(send, 2 * number) for number in range(AT_A_TIME)]
        try:
            wait_until(lambda: whole == set(paths), timeout=60, told=lambda: str(other))
            assert not other
            restored.compose("stop app")
        finally:
            stopped.set()
        for client in clients:
            client.result()  # raises if a connection failed
    # Later requests get the proxy's errors; responses of views are complete.
    assert {status for _, status in other} <= {502, 503}, other
    assert restored.container("app").attrs["State"]["ExitCode"] == 0
