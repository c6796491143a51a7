"""Each setting of .env.example has the same effect on every server."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.lib.load import ask_at_once, load
from tests.lib.raw_http import exchange
from tests.lib.stack import Stack, wait_until
from tests.lib.template import has_processes, recycles
from tests.pairs.processes import wait_for_processes
from tests.pairs.request_recorder import assert_security_headers, request
from tests.pairs.test_logs import APPLICATIONS, HOSTILE, REQUEST

pytestmark = pytest.mark.destructive

Record = Callable[[str, object], None]

CHANGED = {
    "PORT": "9000",
    "WEB_CONCURRENCY": "2",
    "WEB_THREADS": "2",
    "REQUEST_TIMEOUT": "6",
    "MAX_CONTENT_LENGTH": "1000",
    "TRUSTED_HOSTS": "good.example,.also.example",
    "LOG_LEVEL": "debug",
    "ACCESS_LOG": "on",
    "MAX_REQUESTS": "150",
}


def cpus(stack: Stack) -> int:
    """Return the number of CPUs for the proxy: four, or all if there are fewer."""
    return min(4, stack.docker.info()["NCPU"])


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[Stack]:
    """Run the stack with other settings and new logs."""
    settings = CHANGED | {"PROXY_CPUS": str(cpus(stack))}
    with pytest.MonkeyPatch.context() as environ:
        for name, value in settings.items():
            environ.setenv(name, value)
        stack.compose("up --wait --no-build --force-recreate")
        yield stack
    stack.compose("up --wait --no-build --force-recreate")


def ask(stack: Stack, method: str = "GET", path: str = "/", host: str = "good.example", **more):
    return stack.request(method, path, headers={"Host": host}, **more)


def test_port(changed: Stack):
    assert ask(changed).status_code == 200


def test_processes(changed: Stack):
    """WEB_CONCURRENCY processes load the application, if the server has worker processes."""
    workers = wait_for_processes(changed, headers={"Host": "good.example"})
    assert workers == (2 if has_processes(changed.pair.server) else 0)


def test_the_proxy_uses_its_cpus(changed: Stack):
    """Event loops of nginx: one per CPU. Processes of httpd: at least one per CPU."""
    processes = changed.container("proxy").top()["Processes"]
    loops = len(processes) - 1
    assert loops == cpus(changed) if changed.pair.proxy == "nginx" else loops >= cpus(changed)


@pytest.mark.parametrize(
    ("host", "status"),
    [("good.example", 200), ("sub.also.example", 200), ("evil.example", 400), ("127.0.0.1", 400)],
)
def test_trusted_hosts(changed: Stack, host: str, status: int):
    assert ask(changed, host=host).status_code == status


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET http://good.example/ HTTP/1.1", ["Host: evil.example"], 200),
        ("GET http://evil.example/ HTTP/1.1", ["Host: good.example"], 400),
        ("GET / HTTP/1.1", ["Host: evil.example", "X-Forwarded-Host: good.example"], 400),
        ("GET / HTTP/1.1", ["Host: evil.example", "X_Forwarded_Host: good.example"], 400),
        ("GET / HTTP/1.1", ["Host: evil.example", "Forwarded: host=good.example"], 400),
        ("GET / HTTP/1.1", ["Host: good.example:8443"], 200),
        ("GET / HTTP/1.1", ["Host: good.example.evil.example"], 400),
        ("GET / HTTP/1.0", [], 400),
    ],
    ids=str,
)
def test_trusted_hosts_cannot_be_spoofed(
    changed: Stack, line: str, headers: list[str], status: int
):
    data = request(*headers, "Connection: close", line=line, host="")
    assert exchange(changed.port, data).statuses == [status]


@pytest.mark.parametrize("chunked", [False, True])
def test_max_content_length(changed: Stack, chunked: bool):
    for size, status in ((1000, 200), (1001, 413)):
        body = bytes(size)
        response = ask(changed, "POST", "/probe/upload", data=iter([body]) if chunked else body)
        assert response.status_code == status


def test_requests_are_served_concurrently(changed: Stack):
    """This runs before a view hangs, which blocks a thread for longer than its request waits."""
    url = f"{changed.url}/probe/meet/{uuid4().hex}"
    with ThreadPoolExecutor() as pool:
        responses = list(
            pool.map(lambda _: requests.get(url, headers={"Host": "good.example"}, timeout=9), "ab")
        )
    assert [response.text for response in responses] == ["met", "met"]


def test_request_timeout(changed: Stack):
    """The request of a view that hangs gets a 504, and other requests are not delayed."""
    line = "GET /probe/work/8.0/too-slow HTTP/1.1"
    data = request("Connection: close", line=line, host="Host: good.example")
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(exchange, changed.port, data, wait=15)
        served = 0
        while not hanging.done():
            response = ask(changed)
            assert response.status_code == 200
            assert response.elapsed.total_seconds() < 1
            served += 1
            time.sleep(0.05)  # short enough to notice a delay, without much load
    assert served > 1
    (reply,) = hanging.result().replies
    assert reply.status == 504
    assert b"took too long" in reply.body
    assert_security_headers(reply.headers, reply.body)


def test_log_level(changed: Stack):
    """With LOG_LEVEL=debug, health checks are logged."""
    lines = changed.container("app").logs().decode().splitlines()
    entries = [json.loads(line) for line in lines if '"/health/live"' in line]
    assert entries
    assert {entry["level"] for entry in entries} == {"DEBUG"}


def test_access_log(changed: Stack):
    """The application logs the same values as the proxy, and the route."""
    response = ask(changed, path="/probe/work/0.3/a%20b?c=d%20e")
    logged = {
        service: changed.logged(service, response.headers["X-Request-ID"])
        for service in ("app", "proxy")
    }
    (app,), (proxy,) = logged["app"], logged["proxy"]
    assert set(app) == APPLICATIONS
    assert app["route"] == "/probe/work/<float:seconds>/<name>"
    for name in REQUEST - {"time", "logger", "duration_us", "protocol"}:
        assert app[name] == proxy[name], name
    # Times have a resolution of 1 ms.
    assert 290_000 < app["duration_us"] < proxy["duration_us"] + 20_000


def test_access_log_has_the_protocol(changed: Stack):
    response = ask(changed)
    (entry,) = changed.logged("app", response.headers["X-Request-ID"])
    assert entry["protocol"] == "HTTP/1.1"


def test_access_log_cannot_be_forged(changed: Stack):
    token = uuid4().hex.upper()
    for line in HOSTILE:
        hostile = request(
            "Connection: close",
            line=line.replace(b"TOKEN", token.encode()),
            host="Host: good.example",
        )
        exchange(changed.port, hostile, wait=1)
    end = ask(changed).headers["X-Request-ID"]
    changed.wait_for_log("app", f'"{end}"')
    lines = changed.container("app").logs(tail=200).decode().splitlines()
    entries = [json.loads(line) for line in lines if token in line]
    assert len(entries) > 5
    for entry in entries:
        assert set(entry) == APPLICATIONS
        assert entry["logger"] != "forged"


def test_workers_are_replaced_under_load(changed: Stack, record_property: Record):
    """Workers are replaced after MAX_REQUESTS, if the server supports it; no request fails."""
    host = {"Host": "good.example"}

    def loaded() -> int:
        return len(ask(changed, path="/probe/processes").json()["loaded"])

    before = loaded()
    expected = before + 2 if recycles(changed.pair.server) else before
    with load(f"{changed.url}/probe/work/0.01/", pause=0, headers=host) as running:
        wait_until(lambda: running.count(200) > 300 and loaded() >= expected, timeout=30)
    lost = [outcome for outcome in running.outcomes if outcome.status != 200]
    record_property("recycling_sent", len(running.outcomes))
    record_property("recycling_failed", len(lost))
    assert lost == []


def test_many_threads(restored: Stack, monkeypatch: pytest.MonkeyPatch):
    """The server starts with the most threads that start.py permits, and requests use them."""
    for name in CHANGED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setenv("WEB_THREADS", "448")
    restored.start()
    outcomes = ask_at_once([f"{restored.url}/probe/work/0.5/{uuid4().hex}" for _ in range(60)])
    assert {outcome.status for outcome in outcomes} == {200}


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("SECRET_KEY_FILE=", "No secret key"),
        ("SECRET_KEY_FILE=/nowhere", "/nowhere, which cannot be read"),
        ("MAX_CONTENT_LENGTH=ten", "MAX_CONTENT_LENGTH must be a whole number"),
        ("WEB_THREADS=0", "WEB_THREADS must be a whole number, 1 or more"),
        ("WEB_THREADS=500", "limit of 512 processes and threads. Raise APP_PIDS."),
        ("MAX_CONTENT_LENGTH=500000000", "Raise APP_TMP_SIZE."),
        ("LOG_LEVEL=loud", "LOG_LEVEL must be one of"),
        ("TRUSTED_HOSTS=https://a.example", "TRUSTED_HOSTS must be host names"),
    ],
)
def test_an_application_that_cannot_start_says_why_and_exits(stack: Stack, setting: str, told: str):
    assert_refused(stack, "app", setting, told)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "MAX_CONTENT_LENGTH=134217729",
            "MAX_CONTENT_LENGTH is 134217729, but /tmp has 134217728 bytes: raise PROXY_TMP_SIZE",
        ),
        ("TRUSTED_PROXY_COUNT=-1", "TRUSTED_PROXY_COUNT must be a whole number"),
        ("WEBSOCKETS=yes", "WEBSOCKETS must be on or off"),
    ],
)
def test_a_proxy_that_cannot_start_says_why_and_exits(stack: Stack, setting: str, told: str):
    assert_refused(stack, "proxy", setting, told)


def assert_refused(stack: Stack, service: str, setting: str, told: str) -> None:
    # A container like the service's, with one changed setting and without restarts.
    like = stack.container(service).attrs
    host = like["HostConfig"] | {"RestartPolicy": {}, "NetworkMode": "none"}
    config = like["Config"] | {"Env": [*like["Config"]["Env"], setting], "HostConfig": host}
    container = stack.docker.containers.get(stack.docker.api.create_container_from_config(config))
    try:
        container.start()
        assert container.wait(timeout=60)["StatusCode"] != 0
        assert told in container.logs().decode()
    finally:
        container.remove(force=True)
