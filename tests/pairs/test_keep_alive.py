"""A request never meets a connection that the application is just closing."""

from collections.abc import Callable

import pytest

from tests.harness.stack import Stack

Record = Callable[[str, object], None]


@pytest.mark.patient
def test_application_keeps_idle_connections_longer_than_the_proxy(
    stack: Stack, record_property: Record
):
    """Where the proxy keeps any: one that connects for each request has no such race."""
    idle = stack.idle.result(timeout=60)
    record_property("sent", len(idle.outcomes))
    record_property("idle_connections", [len(idle.kept), len(idle.left)])
    assert {outcome.status for outcome in idle.outcomes} == {200}
    # Other tests use some of them meanwhile, so not all are there and idle.
    assert len(idle.left) >= len(idle.kept) // 2
