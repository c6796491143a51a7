"""A running pair: started by pytest-docker, inspected with Docker's SDK."""

import json
import os
import shlex
import socket
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

from .load import new_session
from .template import EXPECTATIONS, Pair, base_images

Found = TypeVar("Found")

# The CA certificates that this machine trusts, for builds behind a TLS-intercepting proxy.
CA_BUNDLE = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


def prepare_engine(
    python_versions: Sequence[str], proxies: Sequence[str], databases: Sequence[str] = ()
) -> None:
    """Make sure that an engine runs and has the base images, and make this process use it.

    Raises tests.engine.EngineError with the reason when this is impossible.
    """
    os.environ.update(engine.ensure(base_images(python_versions, proxies, databases)))
    if CA_BUNDLE.is_file():
        os.environ.setdefault("CA_BUNDLE", str(CA_BUNDLE))
    # Any free port: stacks run side by side.
    os.environ["PUBLISH_PORT"] = os.environ["PUBLISH_TLS_PORT"] = "0"


def run(command: Sequence[str | Path], *, cwd: Path) -> str:
    """Run a program in a folder; return its stdout. Raises AssertionError with all output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def wait_until(
    found: Callable[[], Found], *, timeout: float, told: Callable[[], str] = lambda: ""
) -> Found:
    """Call ``found`` until its result is true, and return the result.

    Raises AssertionError with the text from ``told`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (result := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {found}\n{told()}")
        time.sleep(0.05)  # polling interval; the result ends the wait
    return result


@dataclass
class Stack:
    """A pair that runs as one compose project."""

    pair: Pair
    folder: Path
    name: str
    services: Services
    session: requests.Session = field(default_factory=new_session)
    # The log of each container when the stack became healthy, by service.
    first_logs: dict[str, str] = field(default_factory=dict)
    # The result of the idle connection check: see tests/lib/idle.py.
    idle: Future[list[str]] = field(default_factory=Future)
    # The response to a slow upload: see the same file.
    slow: Future[bytes] = field(default_factory=Future)
    # Cache of published ports; cleared after each compose command, which may change them.
    ports: dict[tuple[str, int], int] = field(default_factory=dict, init=False)

    def compose(self, arguments: str) -> str:
        """Run ``docker compose`` with these arguments; return its output.

        Raises Exception with the output when it fails.
        """
        try:
            return self.services._docker_compose.execute(arguments).decode()
        finally:
            self.ports.clear()

    @cached_property
    def docker(self) -> docker.DockerClient:
        """The client of the Docker engine."""
        return docker.from_env()

    def labels(self, service: str | None = None) -> list[str]:
        """Return compose's labels of this stack's containers, or of one service's."""
        labels = [f"com.docker.compose.project={self.name}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        return labels

    def containers(self, service: str | None = None) -> list[Container]:
        """Return this stack's containers, including stopped ones."""
        return self.docker.containers.list(all=True, filters={"label": self.labels(service)})

    def container(self, service: str) -> Container:
        """Return the only container of a service."""
        (found,) = self.containers(service)
        return found

    def published(self, port: int, service: str = "proxy") -> int:
        """Return the published port for a service's port; it changes with each start."""
        if (service, port) not in self.ports:
            (found,) = self.docker.api.containers(filters={"label": self.labels(service)})
            (public,) = {
                each["PublicPort"] for each in found["Ports"] if each["PrivatePort"] == port
            }
            self.ports[service, port] = int(public)
        return self.ports[service, port]

    @property
    def port(self) -> int:
        """The published port for HTTP."""
        return self.published(8080)

    @property
    def url(self) -> str:
        """The base URL of the stack."""
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, **arguments) -> requests.Response:
        """Send a request to the proxy; redirects are not followed by default."""
        arguments = {"timeout": 15, "allow_redirects": False} | arguments
        return self.session.request(method, self.url + path, **arguments)

    def get(self, path: str, **arguments) -> requests.Response:
        """Send a GET request to the proxy."""
        return self.request("GET", path, **arguments)

    def start(self) -> None:
        """Start stopped services; wait until the proxy forwards requests to the application."""
        self.compose("up --wait --no-build")
        self.wait_for_upstream()

    def wait_for_upstream(self) -> None:
        """Wait until the proxy forwards requests to the application.

        The proxy resolves the application's name once a second, and a container that has just
        restarted may still be marked as healthy.
        """

        def found() -> bool:
            return self.get("/health/live").status_code not in (502, 503)

        wait_until(found, timeout=15, told=self.evidence)

    def wait_for_log(self, service: str, text: str) -> list[str]:
        """Wait until ``text`` is in a service's log, and return the log's last lines."""
        container = self.container(service)

        def found() -> list[str]:
            log = container.logs(tail=200).decode()
            return log.splitlines() if text in log else []

        return wait_until(found, timeout=5, told=lambda: f"{text} in the log of {service}")

    def logged(self, service: str, request_id: str, last: str = "status") -> list[dict[str, Any]]:
        """Return a service's log entries for a request; wait for one with the key ``last``.

        Of the proxy, only its access lines.
        """

        def found() -> list[dict[str, Any]]:
            lines = self.wait_for_log(service, f'"{request_id}"')
            entries = [json.loads(line) for line in lines if f'"{request_id}"' in line]
            entries = [entry for entry in entries if entry["logger"] != "proxy.error"]
            return entries if entries and last in entries[-1] else []

        return wait_until(found, timeout=5)

    def evidence(self) -> str:
        """Return data about a failure: states, logs, and the proxy's effective configuration."""
        show = EXPECTATIONS["_proxies"][self.pair.proxy]["show_configuration"]
        parts = []
        for arguments in (
            "ps --all",
            "logs --no-color --tail 60",
            f"exec -T proxy {shlex.join(show)}",
        ):
            try:
                parts.append(f"$ docker compose {arguments}\n{self.compose(arguments)}")
            except Exception as error:  # one kind of evidence may be unavailable
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
    """Build and start the project in ``folder``; yield the healthy stack, and always clean up.

    When the start fails, pytest-docker neither cleans up nor shows logs, so this function does.
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
