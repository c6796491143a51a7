"""Metrics and traces: exact over all processes of every server, and not public."""

import base64
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.database.server import query
from tests.lib.stack import Stack, wait_until
from tests.lib.template import (
    OPTIONS,
    PROXIES,
    PYTHON_VERSIONS,
    SERVERS,
    Pair,
    base_images,
)

# Each server once, behind the proxies in turn.
PAIRS = [Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS)]
# Only three very different servers are traced too: tracing needs many packages.
TRACED = PAIRS[::3]
# A trace collector that prints the requests it receives.
COLLECT = """
import base64, http.server as h
class Collector(h.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        print(self.path, base64.b64encode(body).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
h.ThreadingHTTPServer(('', 4318), Collector).serve_forever()
"""
(PYTHON,) = base_images(PYTHON_VERSIONS[:1], [])
SETTINGS = yaml.safe_dump(
    {
        "services": {
            "app": {
                "environment": {
                    "WEB_CONCURRENCY": 4,
                    # Low enough that workers are replaced while requests are counted.
                    "MAX_REQUESTS": 150,
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
                    # Milliseconds between two exports of spans.
                    "OTEL_BSP_SCHEDULE_DELAY": 200,
                },
                "depends_on": ["collector"],
            },
            "collector": {"image": PYTHON, "init": True, "command": ["python", "-c", COLLECT]},
        }
    }
)
CLIENTS, EACH = 8, 125
ASK = (
    "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
)


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def stack(request: pytest.FixtureRequest, start) -> Iterator[Stack]:
    options = OPTIONS if request.param in TRACED else {"metrics": OPTIONS["metrics"]}
    with start(request.param, SETTINGS, **options) as stack:
        yield stack


def total(stack: Stack, name: str, **labels: str) -> float:
    """Return the sum of a metric with these labels, read inside the network like Prometheus."""
    done = stack.container("app").exec_run(["python", "-c", ASK])
    page = done.output.decode()
    assert done.exit_code == 0, page
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def spans(stack: Stack) -> list[tuple[str, dict[str, str]]]:
    """Return the name, and the string attributes with the IDs, of each collected span."""
    found = []
    for line in stack.container("collector").logs(stderr=False).decode().splitlines():
        path, body = line.split()
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(base64.b64decode(body)).resource_spans:
            service = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert service["service.name"] == stack.folder.name
            found += [
                (
                    span.name,
                    {each.key: each.value.string_value for each in span.attributes}
                    | {
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                    },
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]
    return found


@pytest.mark.parametrize("stack", TRACED, indirect=True, ids=str)
def test_each_request_is_traced_once_by_its_id(stack: Stack):
    """Each request has one span with its ID, from any process: each sends its own spans."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        responses = list(pool.map(lambda _: stack.get("/nothing-here"), range(5 * CLIENTS)))
    ids = [response.headers["X-Request-ID"] for response in responses]

    def traced() -> Counter[str]:
        return Counter(about.get("request.id") for _, about in spans(stack))

    wait_until(lambda: set(ids) <= set(traced()), timeout=10, told=lambda: str(traced()))
    assert {traced()[request_id] for request_id in ids} == {1}
    assert not any("/health" in name for name, _ in spans(stack))


# The last values are the settings for the other tests.
@pytest.mark.parametrize(
    ("proxies", "ids", "believed"),
    [("1", "on", True), ("1", "off", False), ("0", "on", False), ("0", "off", False)],
)
@pytest.mark.parametrize("stack", TRACED, indirect=True, ids=str)
def test_clients_cannot_choose_the_trace(
    stack: Stack, proxies: str, ids: str, believed: bool, monkeypatch: pytest.MonkeyPatch
):
    """Only a trace from a proxy in front is continued, if the proxy is trusted for request IDs."""
    monkeypatch.setenv("TRUSTED_PROXY_COUNT", proxies)
    monkeypatch.setenv("TRUST_REQUEST_ID", ids)
    stack.compose("up --wait --no-build --no-deps proxy")
    trace = uuid4().hex
    claim = {
        "X-Forwarded-For": "203.0.113.9",
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
    }
    request_id = stack.get("/nothing-here", headers=claim).headers["X-Request-ID"]
    (span,) = wait_until(
        lambda: [about for _, about in spans(stack) if about.get("request.id") == request_id],
        timeout=10,
    )
    assert (span["trace"] == trace) == believed


@pytest.mark.parametrize("stack", TRACED, indirect=True, ids=str)
def test_a_statement_is_a_span_below_that_of_its_request(stack: Stack):
    response = stack.get("/notes")
    assert response.json() == []
    request_id = response.headers["X-Request-ID"]

    def found() -> list[tuple[str, dict[str, str]]]:
        """Return the spans below that of the request, once it was sent."""
        every = spans(stack)
        parents = {about["span"] for _, about in every if about.get("request.id") == request_id}
        return [(name, about) for name, about in every if about["parent"] in parents]

    ((name, statement),) = wait_until(found, timeout=10, told=lambda: str(spans(stack)))
    assert name == "SELECT"
    assert "FROM note" in statement["db.query.text"]


@pytest.mark.parametrize("stack", TRACED, indirect=True, ids=str)
def test_metrics_show_the_connections_in_use(stack: Stack):
    """Those of requests that wait for a lock, over all processes; they return to the pool."""
    name = "database_connections_in_use"
    assert total(stack, "database_connections_limit") == 8
    lock = "BEGIN; LOCK TABLE note; SELECT pg_sleep(60)"
    command = ["psql", "--username=postgres", "--dbname=app", f"--command={lock}"]
    stack.container("db").exec_run(command, detach=True)
    locks = "SELECT mode FROM pg_locks WHERE granted"
    wait_until(lambda: "AccessExclusiveLock" in query(stack, locks), timeout=5)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(stack.get, "/notes") for _ in range(5)]
        wait_until(lambda: total(stack, name) == 5, timeout=10, told=stack.evidence)
        query(stack, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode ~ 'AccessExcl'")
        assert {each.result().status_code for each in waiting} == {200}
    wait_until(lambda: total(stack, name) == 0, timeout=5)


def test_metrics_count_all_requests_of_four_workers(stack: Stack):
    def client(_: int) -> list[int]:
        with requests.Session() as session:
            return [session.get(stack.url, timeout=15).status_code for _ in range(EACH)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [status for each in pool.map(client, range(CLIENTS)) for status in each]
    assert statuses == [200] * CLIENTS * EACH
    # The count is the same from every worker, each time.
    for _ in range(5):
        name = "http_request_duration_seconds_count"
        assert total(stack, name, method="GET", route="/", status="200") == 1000


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?a=b"]
)
def test_metrics_are_not_public(stack: Stack, path: str):
    """They stay private even if a client tries to remove the headers that the proxy sets."""
    url = requests.Request("GET", stack.url + path).prepare()
    url.url = stack.url + path
    for connection in ("keep-alive", "close, X-Forwarded-For"):
        url.headers["Connection"] = connection
        response = stack.session.send(url, timeout=15, allow_redirects=False)
        assert response.status_code in (308, 404)
        assert "http_request" not in response.text
