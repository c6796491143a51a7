"""A running pair: started by pytest-docker, inspected with Docker's SDK."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
from docker.models.containers import Container
from pytest_docker.plugin import Services, get_docker_services

from tests import engine

from .template import FACTS, Pair, base_images

Found = TypeVar("Found")

# Everything that a machine trusts, for builds behind a gateway with certificates of its own.
CA_BUNDLE = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def prepare_engine(python_versions: Sequence[str], proxies: Sequence[str]) -> None:
    """See to it that an engine runs with the base images, and point this process at it.

    Raises tests.engine.EngineError with the reason where none can be had.
    """
    os.environ.update(engine.ensure(base_images(python_versions, proxies)))
    if CA_BUNDLE.is_file():
        os.environ.setdefault("CA_BUNDLE", str(CA_BUNDLE))
    # Any free port: stacks run side by side.
    os.environ["PUBLISH_PORT"] = os.environ["PUBLISH_TLS_PORT"] = "0"


def run(command: Sequence[str | Path], *, cwd: Path) -> str:
    """Run a program in a folder; return what it printed. Fails with all of that."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def wait_until(
    found: Callable[[], Found], *, timeout: float, told: Callable[[], str] = lambda: ""
) -> Found:
    """Return the first result of ``found`` that counts as true, asking for ``timeout`` seconds.

    Raises AssertionError, with what ``told`` says, when there was none.
    """
    deadline = time.monotonic() + timeout
    while not (result := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {found}\n{told()}")
        time.sleep(0.05)  # between two looks; what ends the wait is the result
    return result


@dataclass
class Stack:
    """A pair that runs as one compose project."""

    pair: Pair
    folder: Path
    name: str
    services: Services
    session: requests.Session = field(default_factory=requests.Session)
    # What each container had logged when the stack had become healthy, by service.
    first_logs: dict[str, str] = field(default_factory=dict)
    # What became of an idle connection, once it is known: see tests/harness/idle.py.
    idle: Future[list[str]] = field(default_factory=Future)
    # What was answered to a slow upload, likewise.
    slow: Future[bytes] = field(default_factory=Future)
    # Where this machine reaches the ports of services, which compose may change: each request asks.
    ports: dict[tuple[str, int], int] = field(default_factory=dict, init=False)

    def compose(self, arguments: str) -> str:
        """Run ``docker compose`` with these arguments; return what it printed.

        Raises Exception, with that, when it fails.
        """
        try:
            return self.services._docker_compose.execute(arguments).decode()
        finally:
            self.ports.clear()

    @cached_property
    def docker(self) -> docker.DockerClient:
        """The engine."""
        return docker.from_env()

    def labels(self, service: str | None = None) -> list[str]:
        """Return what compose marks this stack's containers with, or those of one service."""
        labels = [f"com.docker.compose.project={self.name}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        return labels

    def containers(self, service: str | None = None) -> list[Container]:
        """Return this stack's containers, stopped ones too."""
        return self.docker.containers.list(all=True, filters={"label": self.labels(service)})

    def container(self, service: str) -> Container:
        """Return the one container of a service."""
        (found,) = self.containers(service)
        return found

    def published(self, port: int, service: str = "proxy") -> int:
        """Return where this machine reaches a port of a service; a new one after each start."""
        if (service, port) not in self.ports:
            (found,) = self.docker.api.containers(filters={"label": self.labels(service)})
            (public,) = {
                each["PublicPort"] for each in found["Ports"] if each["PrivatePort"] == port
            }
            self.ports[service, port] = int(public)
        return self.ports[service, port]

    @property
    def port(self) -> int:
        """The port of this machine that is published for HTTP."""
        return self.published(8080)

    @property
    def url(self) -> str:
        """The base URL of the stack."""
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, **arguments) -> requests.Response:
        """Send a request to the proxy, by default without following redirects."""
        arguments = {"timeout": 15, "allow_redirects": False} | arguments
        return self.session.request(method, self.url + path, **arguments)

    def get(self, path: str, **arguments) -> requests.Response:
        """Send a GET request to the proxy."""
        return self.request("GET", path, **arguments)

    def start(self) -> None:
        """Start what is stopped; wait until the proxy passes requests on to it."""
        self.compose("up --wait --no-build")
        self.wait_for_upstream()

    def wait_for_upstream(self) -> None:
        """Wait until the proxy passes requests on to the application.

        It resolves the application's name once a second, and a container that has just started
        again may still count as healthy.
        """

        def found() -> bool:
            return self.get("/health/live").status_code not in (502, 503)

        wait_until(found, timeout=15, told=self.evidence)

    def wait_for_log(self, service: str, text: str) -> list[str]:
        """Return a service's last lines, once ``text`` is in one of them."""

        def found() -> list[str]:
            log = self.container(service).logs(tail=200).decode()
            return log.splitlines() if text in log else []

        return wait_until(found, timeout=5, told=lambda: f"{text} in the log of {service}")

    def logged(self, service: str, request_id: str, last: str = "status") -> list[dict[str, Any]]:
        """Return a service's lines about a request; the one that has ``last`` is waited for."""

        def found() -> list[dict[str, Any]]:
            lines = self.wait_for_log(service, f'"{request_id}"')
            entries = [json.loads(line) for line in lines if f'"{request_id}"' in line]
            return entries if last in entries[-1] else []

        return wait_until(found, timeout=5)

    def evidence(self) -> str:
        """Return what explains a failure: states, logs, and the proxy's effective configuration."""
        show = FACTS["_proxies"][self.pair.proxy]["show_configuration"]
        parts = []
        for arguments in (
            "ps --all",
            "logs --no-color --tail 60",
            f"exec -T proxy {shlex.join(show)}",
        ):
            try:
                parts.append(f"$ docker compose {arguments}\n{self.compose(arguments)}")
            except Exception as error:  # evidence of one kind may be missing
                parts.append(str(error))
        for container in self.containers():
            state = container.attrs["State"]
            parts.append(f"{container.name}: exit {state['ExitCode']}, OOM {state['OOMKilled']}")
        return "\n".join(parts)


Running = TypeVar("Running", bound=Stack)


@contextmanager
def run_stack(
    pair: Pair, folder: Path, name: str, *overlays: Path, kind: type[Running] = Stack
) -> Iterator[Running]:
    """Build and start the project in ``folder``; yield it healthy, and clean up whatever happens.

    pytest-docker neither cleans up nor shows logs when starting fails, so that is done here.
    """
    files = [str(folder / "compose.yaml"), *map(str, overlays)]
    with get_docker_services(
        "docker compose",
        files,
        name,
        docker_setup=[],
        docker_cleanup=["down --volumes --remove-orphans --rmi local --timeout 5"],
    ) as services:
        stack = kind(pair, folder, name, services)
        try:
            stack.compose("up --build --wait --wait-timeout 120")
        except Exception as error:
            raise RuntimeError(f"{pair} did not start: {error}\n{stack.evidence()}") from error
        for service in ("app", "proxy"):
            stack.first_logs[service] = stack.container(service).logs().decode()
        yield stack
