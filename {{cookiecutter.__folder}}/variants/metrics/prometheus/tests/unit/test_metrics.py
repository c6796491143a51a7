import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families


def counted(page, **labels):
    """Return how many requests with these labels a page of metrics tells of."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_count"
        and labels.items() <= sample.labels.items()
    )


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/health/ready", {"method": "GET", "route": "/health/ready", "status": "200"}),
        ("GET", "/nothing-here", {"method": "GET", "route": "none", "status": "404"}),
        ("WRONG", "/health/ready", {"method": "other", "status": "405"}),
    ],
)
def test_each_response_is_counted(client, method, path, labels):
    before = counted(client.get("/metrics").text, **labels)
    client.open(path, method=method)
    assert counted(client.get("/metrics").text, **labels) == before + 1


def test_an_exception_is_counted(make_app):
    app = make_app()
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    client = app.test_client()
    client.get("/broken")
    assert counted(client.get("/metrics").text, route="/broken", status="500") == 1


def test_through_a_proxy_there_is_no_such_page(client):
    assert client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"}).status_code == 404


def test_served_whatever_hosts_are_trusted(make_app):
    client = make_app(TRUSTED_HOSTS="good.example").test_client()
    assert client.get("/metrics", headers={"Host": "app:8000"}).status_code == 200


# A worker answers once, its child once more; then it tells what all have counted until now.
WORKER = """
import os
from prometheus_client import generate_latest
from {package} import metrics
forked = os.fork()
metrics.requests.labels("GET", "/", 200).observe(0.1)
if not forked:
    os._exit(0)
os.wait()
print(generate_latest(metrics.registry).decode())
"""


def test_workers_that_come_and_go_are_counted_in_the_same_few_files(package, tmp_path):
    source = Path(package.__file__).parents[1]
    environ = {"PYTHONPATH": str(source), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    command = [sys.executable, "-c", WORKER.format(package=package.__name__)]
    for number in range(1, 4):
        told = subprocess.check_output(command, env=environ, text=True)  # noqa: S603
        assert counted(told) == 2 * number
    assert len(list((tmp_path / "metrics").glob("*.db"))) == 2
