"""Memory that a request used is freed, and a memory leak ends with its process."""

from collections import Counter

import pytest

from tests.lib.stack import Stack, wait_until
from tests.lib.template import recycles

from .together import results, together
from .watch import use


def test_memory_of_a_request(stack: Stack):
    """Large allocations of a request, returned after it."""
    app = stack.container("app")
    # The six together fit into the container's memory, in addition to its processes. Each is larger
    # than 32 MB, the most that malloc may keep after it is freed (DEFAULT_MMAP_THRESHOLD_MAX).
    expected = [{"length": 40 << 20, "count": 10_000}] * 6
    assert results(stack, "/memory/local/40", times=6) == expected
    before = use(app).memory
    assert results(stack, "/memory/local/40", times=6) == expected
    # In KiB; a response that is not freed has 40,960.
    wait_until(lambda: use(app).memory < before + 30_000, timeout=5, told=lambda: str(use(app)))


@pytest.mark.destructive
def test_leak_of_memory(restored: Stack, monkeypatch: pytest.MonkeyPatch):
    """Memory leaks, by MAX_REQUESTS where the server replaces its processes."""
    monkeypatch.setenv("APP_MEMORY", "512M")
    monkeypatch.setenv("MAX_REQUESTS", "60")
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    restored.start()
    # All together would leak 560 MB; the limit is 512. Concurrency is low because some workers
    # respond for another second before they are replaced.
    times = 280 if recycles(restored.pair.server) else 40
    responses = together(restored, ["/memory/kept/2"] * times, at_a_time=2)
    assert {response.status_code for response in responses} == {200}
    served = Counter(response.json()["pid"] for response in responses)
    # Servers add up to 100 at random to MAX_REQUESTS. At about 220 requests, the kernel would kill
    # the process.
    assert (max(served.values()) < 200 and len(served) > 1) == recycles(restored.pair.server)
