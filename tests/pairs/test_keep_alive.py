"""No request is sent on a connection that the application is closing."""

import pytest

from tests.lib.stack import Stack


@pytest.mark.slow
def test_application_keeps_idle_connections_longer_than_the_proxy(stack: Stack):
    """A server without keep-alive must announce in its response that it closes the connection."""
    assert stack.idle.result(timeout=60) in (["200", "200"], ["200", "closed"])
