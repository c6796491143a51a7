"""Metrics: exact on every server, over all its processes, and for the network inside alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.stack import Stack
from tests.harness.template import PROXIES, SERVERS, Pair

# Each server once, behind the proxies in turn.
PAIRS = [Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS)]
SETTINGS = """
services:
  app:
    environment:
      WEB_CONCURRENCY: 4
      # So often that workers come and go while they are counted on.
      MAX_REQUESTS: 150
"""
CLIENTS, EACH = 8, 125
ASK = (
    "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
)


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def stack(request: pytest.FixtureRequest, start) -> Iterator[Stack]:
    with start(request.param, SETTINGS, metrics="prometheus") as stack:
        yield stack


def counted(stack: Stack, **labels: str) -> float:
    """Ask inside, as Prometheus does, how many requests with these labels there were."""
    done = stack.container("app").exec_run(["python", "-c", ASK])
    page = done.output.decode()
    assert done.exit_code == 0, page
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_count"
        and labels.items() <= sample.labels.items()
    )


def test_a_thousand_requests_on_four_workers_are_a_thousand(stack: Stack):
    def client(_: int) -> list[int]:
        with requests.Session() as session:
            return [session.get(stack.url, timeout=15).status_code for _ in range(EACH)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [status for each in pool.map(client, range(CLIENTS)) for status in each]
    assert statuses == [200] * CLIENTS * EACH
    # Whichever worker answers, and however often.
    for _ in range(5):
        assert counted(stack, method="GET", route="/", status="200") == 1000


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?a=b"]
)
def test_they_are_not_public(stack: Stack, path: str):
    """Whatever a client does to lose the proxy's marks."""
    url = requests.Request("GET", stack.url + path).prepare()
    url.url = stack.url + path
    for connection in ("keep-alive", "close, X-Forwarded-For"):
        url.headers["Connection"] = connection
        answer = stack.session.send(url, timeout=15, allow_redirects=False)
        assert answer.status_code in (308, 404)
        assert "http_request" not in answer.text
