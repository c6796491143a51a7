"""Three replicas share the requests, and losing one causes no errors."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest
from docker.models.containers import Container

from tests.lib.load import Outcome, ask, ask_at_once, load
from tests.lib.stack import Stack, wait_until

pytestmark = pytest.mark.destructive

Record = Callable[[str, object], None]


def answering(stack: Stack) -> int:
    """Return the number of containers that respond; 0 if any response is an error."""
    responses = ask_at_once([f"{stack.url}/probe/host"] * 9)
    if {response.status for response in responses} != {200}:
        return 0
    return len({response.text for response in responses})


@pytest.fixture(scope="module")
def scaled(stack: Stack) -> Iterator[Stack]:
    """Run the stack with three replicas of the application."""
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("APP_REPLICAS", "3")
        stack.start()
        wait_until(lambda: answering(stack) == 3, timeout=5)
        yield stack
    stack.start()
    # The proxy may use the addresses of removed replicas for another second.
    wait_until(lambda: answering(stack) == 1, timeout=9)


def test_requests_are_spread_over_all_replicas(scaled: Stack, record_property: Record):
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(ask, [f"{scaled.url}/probe/host"] * 300))
    assert {response.status for response in responses} == {200}
    shares = Counter(response.text for response in responses)
    record_property("shares", sorted(shares.values()))
    assert len(shares) == 3
    assert min(shares.values()) >= 60


@dataclass
class Loss:
    """The outcomes of requests before, during and after the kill of a replica."""

    began: float
    ended: float
    # Long requests; each replica handles some of them.
    flying: list[Outcome]
    # Short requests, before and after the kill.
    others: list[Outcome]


def later(outcomes: list[Outcome], moment: float) -> list[Outcome]:
    """Return the outcomes of requests that began after a moment."""
    return [outcome for outcome in outcomes if outcome.began > moment]


def at_work(stack: Stack, names: list[str]) -> Container | None:
    """Return a replica that began one of these requests."""
    for container in stack.containers("app"):
        log = container.logs().decode()
        if any(f"began {name}" in log for name in names):
            return container
    return None


def lose(stack: Stack, names: list[str]) -> Loss:
    """Kill a replica that handles one of these requests, under load."""
    with ThreadPoolExecutor() as pool, load(f"{stack.url}/probe/work/0.02/", clients=2) as running:
        flying = [pool.submit(ask, f"{stack.url}/probe/work/2.0/{name}") for name in names]
        victim = wait_until(lambda: at_work(stack, names), timeout=5)
        began = time.monotonic()
        victim.kill()
        ended = time.monotonic()
        wait_until(lambda: time.monotonic() > ended + 2, timeout=5)
        wait_until(lambda: len(later(running.outcomes, ended)) > 10, timeout=10)
        return Loss(began, ended, [response.result() for response in flying], running.outcomes)


def check_others(loss: Loss, record_property: Record) -> None:
    """Check that all requests that ended before the kill, or began after it, succeeded."""
    earlier = [outcome for outcome in loss.others if outcome.began + outcome.seconds < loss.began]
    after = later(loss.others, loss.ended)
    failed = [outcome for outcome in earlier + after if outcome.status != 200]
    record_property("replica_killed_sent", len(earlier + after))
    record_property("replica_killed_failed", len(failed))
    assert len(after) > 10
    assert failed == []


@pytest.fixture(scope="module")
def loss(scaled: Stack) -> Loss:
    """Kill one of three replicas under load."""
    return lose(scaled, [uuid4().hex for _ in range(6)])


def test_replica_killed_under_load(loss: Loss, record_property: Record):
    check_others(loss, record_property)


def test_request_in_flight_on_a_killed_replica(loss: Loss, record_property: Record):
    """The proxy retries it on another replica, because it is a GET request."""
    statuses = Counter(str(outcome.status) for outcome in loss.flying)
    record_property("in_flight", dict(statuses))
    assert {outcome.status for outcome in loss.flying} == {200}


def test_one_of_two_replicas_killed_under_load(scaled: Stack, loss: Loss, record_property: Record):
    """The list of replicas then has a single address, for which nginx has other rules."""
    check_others(lose(scaled, [uuid4().hex]), record_property)
