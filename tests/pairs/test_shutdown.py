"""Stopping loses nothing; a new application is found again."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.harness.stack import Stack, wait_until
from tests.harness.template import FACTS

pytestmark = pytest.mark.disruptive


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """The stack, started again after the test."""
    yield stack
    stack.start()


def slow_request(stack: Stack, pool: ThreadPoolExecutor) -> tuple[str, Future]:
    """Send a request that takes three seconds; return its name and its answer to come."""
    name, url = uuid4().hex, stack.url
    answer = pool.submit(requests.get, f"{url}/probe/slow/{name}", timeout=30)
    began = f"probe: began {name}".encode()
    wait_until(lambda: began in stack.container("app").logs(tail=50), timeout=5)
    return name, answer


@pytest.mark.parametrize("service", ["", "app"], ids=["pair", "app"])
def test_stop_loses_no_request(restored: Stack, service: str):
    with ThreadPoolExecutor() as pool:
        name, answer = slow_request(restored, pool)
        restored.compose(f"stop {service}")
        assert answer.result().status_code == 200
        assert answer.result().text == f"finished {name}\n"
    for container in restored.containers(service):
        assert container.status == "exited"
        assert container.attrs["State"]["ExitCode"] == 0, container.name


def test_application_with_a_new_address_is_found(restored: Stack):
    network = restored.docker.networks.get(f"{restored.name}_default")

    def address() -> str:
        return restored.container("app").attrs["NetworkSettings"]["Networks"][network.name][
            "IPAddress"
        ]

    proxy, before = restored.container("proxy"), address()
    restored.compose("rm --stop --force app")
    # Whoever comes next would get the free address again, so something else takes it.
    base = FACTS["_proxies"][restored.pair.proxy]["image"]
    squatter = restored.docker.containers.run(
        base, ["sleep", "60"], entrypoint="", detach=True, network=network.name
    )
    try:
        restored.compose("up --wait --no-build --no-deps app")
        assert address() != before
        wait_until(lambda: restored.get("/health/live").status_code == 200, timeout=5)
    finally:
        squatter.remove(force=True)
    after = restored.container("proxy")
    assert (after.id, after.attrs["State"]["StartedAt"]) == (
        proxy.id,
        proxy.attrs["State"]["StartedAt"],
    )
