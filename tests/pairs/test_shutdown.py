"""Shutdown completes in-flight requests, and does not wait for idle clients."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from uuid import uuid4

import pytest

from tests.lib.load import Outcome, ask, load
from tests.lib.raw_http import Raw
from tests.lib.stack import Stack, wait_until

pytestmark = pytest.mark.destructive

Record = Callable[[str, object], None]


def begun(stack: Stack) -> set[str]:
    """Return the names of the requests that reached the application's views, from its log."""
    return {
        name
        for container in stack.containers("app")
        for name in re.findall(r"probe: began ([0-9a-f]+)", container.logs().decode())
    }


def exit_codes(stack: Stack, service: str | None = None) -> dict[str, int]:
    """Return each container's exit code; check that all containers have exited."""
    containers = stack.containers(service)
    assert {container.status for container in containers} == {"exited"}
    return {container.name: container.attrs["State"]["ExitCode"] for container in containers}


def is_whole(outcome: Outcome) -> bool:
    return outcome.status == 200 and outcome.text == f"{outcome.name}\n" * 1000


@pytest.mark.parametrize(
    "service", [pytest.param("", id="pair", marks=pytest.mark.smoke), pytest.param("app", id="app")]
)
def test_stop_loses_no_request(restored: Stack, service: str, record_property: Record):
    """Several in-flight requests complete, including streamed responses."""
    names = [uuid4().hex for _ in range(4)]
    urls = [
        f"{restored.url}/probe/{view}/2.5/{name}"
        for view, name in zip(["work", "drip"] * 2, names, strict=True)
    ]
    with ThreadPoolExecutor() as pool:
        responses = [pool.submit(ask, url) for url in urls]
        wait_until(lambda: begun(restored) >= set(names), timeout=5)
        started = time.monotonic()
        restored.compose(f"stop {service}")
        record_property("stop_seconds", round(time.monotonic() - started, 1))
    outcomes = [response.result() for response in responses]
    assert [outcome for outcome in outcomes if not is_whole(outcome)] == []
    assert set(exit_codes(restored, service or None).values()) == {0}


@pytest.mark.parametrize("service", ["", "app"], ids=["pair", "app"])
def test_stop_under_load(restored: Stack, service: str, record_property: Record):
    """Requests that the application began complete; later ones fail, but are not cut off."""
    with load(f"{restored.url}/probe/work/0.1/", clients=4) as running:
        wait_until(lambda: running.count(200) >= 12, timeout=10)
        restored.compose(f"stop {service}")
    record_property("stopped_sent", len(running.outcomes))
    record_property("stopped_completed", running.count(200))
    record_property("stopped_refused", running.count(None, 502, 503))
    whole = {outcome.name for outcome in running.outcomes if is_whole(outcome)}
    assert begun(restored) & {outcome.name for outcome in running.outcomes} == whole
    assert {outcome.status for outcome in running.outcomes} <= {200, None, 502, 503}
    assert not any(outcome.cut for outcome in running.outcomes)
    assert set(exit_codes(restored, service or None).values()) == {0}


def test_stop_while_starting(stack: Stack):
    """A container that is loading its application stops on a signal, without SIGKILL."""
    name = f"{stack.name}-starting"
    stack.compose(f"run --detach --no-deps --name {name} --env PROBE_LOADS_FOR=3 app")
    container = stack.docker.containers.get(name)
    try:
        wait_until(lambda: "probe: loading" in container.logs().decode(), timeout=20)
        container.stop(timeout=10)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0, container.logs().decode()
    finally:
        container.remove(force=True)


# nginx supports any time; httpd needs at least ten seconds.
GRACEFUL_TIMEOUT = 10


def test_endless_response_is_cut(
    restored: Stack, monkeypatch: pytest.MonkeyPatch, record_property: Record
):
    """It is cut after GRACEFUL_TIMEOUT with each proxy, and all containers exit with 0."""
    monkeypatch.setenv("GRACEFUL_TIMEOUT", str(GRACEFUL_TIMEOUT))
    restored.start()
    with Raw(restored) as client:
        client.request(f"GET /probe/endless/{uuid4().hex} HTTP/1.1")
        response = client.begin()
        assert response.readline() == b"data: 0\n"
        with ThreadPoolExecutor() as pool:
            started = time.monotonic()
            stop = pool.submit(restored.compose, "stop")
            with suppress(HTTPException, ConnectionResetError):
                while response.readline():
                    pass
            seconds = time.monotonic() - started
            stop.result()
    record_property("cut_seconds", round(seconds, 1))
    assert GRACEFUL_TIMEOUT - 1 < seconds < GRACEFUL_TIMEOUT + 3
    assert set(exit_codes(restored).values()) == {0}
