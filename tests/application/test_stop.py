"""Whatever a view waits for when the service stops, its response is whole."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.stack import Stack, wait_until

from .together import together

pytestmark = pytest.mark.disruptive

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
