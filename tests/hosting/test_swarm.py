"""A real Docker Swarm of one node on the tests' engine, with the commands of its page.

The kernel may lack IPVS, which the routing mesh and virtual addresses need; the stack uses neither.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import yaml

from tests.hosting import contract
from tests.hosting.conftest import PACKAGE, PAIRS_TRIED, Built
from tests.hosting.page import follow
from tests.hosting.runtime import probe_views
from tests.lib.load import ask, load
from tests.lib.stack import free_port, run, wait_until
from tests.lib.template import PROXIES

# Creating or leaving a swarm breaks the name resolution of all other containers for half a minute.
pytestmark = pytest.mark.serial

# A different server behind each proxy.
UPDATED = [PAIRS_TRIED[number * (len(PROXIES) + 1)] for number in range(len(PROXIES))]
OURS = {"made-by": "tests/hosting/test_swarm.py"}
# Cannot be reached, so the engine's own images are used.
REGISTRY = "registry.example.com/"


@dataclass(frozen=True)
class Service:
    """The pair, deployed as a stack with the project's name."""

    client: docker.DockerClient
    project: Path
    port: int

    @property
    def name(self) -> str:
        return self.project.name

    @property
    def url(self) -> str:
        """The base URL of the sidecar."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stack_file(self) -> Path:
        return self.project / "deploy" / "swarm" / "stack.yaml"

    def follow(self, heading: str) -> None:
        """Run the page's commands under a heading."""
        page = self.stack_file.with_name("README.md")
        follow(page, self.project, self.project.with_name("programs"), heading=heading)

    def commit(self) -> None:
        """Commit everything, as for a release."""
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        run(["git", "add", "--all"], cwd=self.project)
        run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "r"], cwd=self.project)

    def release(self) -> None:
        """Commit, and run the page's commands for a release."""
        self.commit()
        self.follow("Release")

    def change(self, change: Callable[[dict], None]) -> None:
        """Change the stack file."""
        stack = yaml.safe_load(self.stack_file.read_text(encoding="utf-8"))
        change(stack)
        self.stack_file.write_text(yaml.safe_dump(stack), encoding="utf-8")

    def attributes(self, service: str) -> dict:
        """Return Swarm's attributes of a service."""
        return self.client.services.get(f"{self.name}_{service}").attrs

    def await_update(self, outcome: str) -> None:
        """Wait for this outcome of the application's last update: the command may return before."""

        def state() -> str:
            return self.attributes("app")["UpdateStatus"]["State"]

        wait_until(lambda: state() == outcome, timeout=30, told=state)

    def containers(self, service: str | None = None) -> list:
        """Return the containers, including stopped ones."""
        labels = [f"com.docker.stack.namespace={self.name}"]
        if service:
            labels.append(f"com.docker.swarm.service.name={self.name}_{service}")
        return self.client.containers.list(all=True, ignore_removed=True, filters={"label": labels})


def for_the_tests(stack: dict) -> None:
    """Add the probe's views to the application, and shorten the delays after a start."""
    app = stack["services"]["app"]
    for file, mount in probe_views(PACKAGE).items():
        app["volumes"].append(
            {"type": "bind", "source": file, "target": mount["bind"], "read_only": True}
        )
    shorten(stack)


def shorten(stack: dict) -> None:
    """Shorten the delays after a start."""
    for service in stack["services"].values():
        for way in ("update_config", "rollback_config"):
            service["deploy"][way] |= {"monitor": "2s", "delay": "0s"}
        service["deploy"]["restart_policy"]["delay"] = "0s"


@pytest.fixture(scope="session")
def service(
    docker_client: docker.DockerClient, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The pair on a swarm: set up and released by the page's commands."""
    project = tmp_path_factory.mktemp("swarm") / built.project.name
    shutil.copytree(built.project, project)
    service = Service(docker_client, project, free_port())
    service.change(for_the_tests)
    run(["git", "init", "--quiet"], cwd=project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBLISH_PORT", str(service.port))
        patch.setenv("TRUSTED_HOSTS", "service.example,127.0.0.1")
        try:
            initialize(docker_client)
            service.follow("Set up, once")
            service.release()
            wait_until(lambda: ask(f"{service.url}/health/ready").status == 200, timeout=10)
            yield service
        finally:
            remove(service)


def initialize(client: docker.DockerClient) -> None:
    """Create a swarm, if there is none."""
    if client.info()["Swarm"]["LocalNodeState"] != "active":
        client.swarm.init("127.0.0.1", f"127.0.0.1:{free_port()}", labels=OURS)


def remove(service: Service) -> None:
    """Remove the stack and what the page's commands created, and the swarm if a test created it."""
    client = service.client
    command = ["docker", "stack", "rm", service.name]
    # Swarm keeps a network until the last task that uses it is removed; docker does not wait.
    wait_until(lambda: subprocess.run(command, check=False).returncode == 0, timeout=30)
    ours = {"label": f"com.docker.stack.namespace={service.name}"}
    wait_until(lambda: not service.containers(), timeout=60)
    # A remaining network would conflict with the next stack of that name.
    wait_until(lambda: not client.networks.list(filters=ours), timeout=30)
    for secret in client.secrets.list(filters={"name": f"{service.name}_"}):
        secret.remove()
    for image in client.images.list(f"{REGISTRY}{service.name}-*"):
        for tag in image.tags:
            if tag.startswith(REGISTRY):
                client.images.remove(tag)
    client.swarm.reload()
    if client.swarm.attrs["Spec"]["Labels"] == OURS and not client.secrets.list():
        client.swarm.leave(force=True)


def test_client_and_address(service: Service):
    """The client address is the connection's, despite spoofed headers: no proxy is in front.

    Over loopback it is the gateway of the engine's network for published ports.
    """
    network = service.client.networks.get("docker_gwbridge")
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    for spoofed in ({}, contract.SPOOFED):
        told = contract.get(f"{service.url}/probe/request", headers=spoofed).json()
        assert told["address"] == gateway
        assert told["root"] == f"{service.url}/"


@pytest.mark.parametrize("check", contract.ANYWHERE, ids=lambda check: check.__name__)
def test_contract(service: Service, check: Callable[[str], None]):
    check(service.url)


def test_containers_are_hardened(service: Service):
    """The containers have the restrictions of the stack file: Swarm ignores some valid keys."""
    for name, replicas, tmp in (("app", 2, b"262144k"), ("proxy", 1, b"131072k")):
        containers = service.containers(name)
        assert len(containers) == replicas
        for container in containers:
            host = container.attrs["HostConfig"]
            assert host["ReadonlyRootfs"]
            assert host["CapDrop"] == ["ALL"]
            assert host["NanoCpus"] and host["Memory"] and host["PidsLimit"]
            assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
            assert container.attrs["Config"]["User"].split(":")[0] not in ("", "0", "root")
            assert container.exec_run("mktemp").exit_code == 0
            mounts = container.exec_run(["grep", " /tmp ", "/proc/mounts"]).output
            assert b"size=" + tmp in mounts


@pytest.mark.pairs(UPDATED)
def test_updates_lose_no_request(
    request: pytest.FixtureRequest,
    service: Service,
    record_property: Callable[[str, object], None],
):
    """No request fails under load, in two successful updates and one that is rolled back."""
    proxy, app = service.attributes("proxy"), service.attributes("app")
    wanted = request.config.getoption("requests")
    with load(f"{service.url}/probe/work/0.01/", most=100_000) as running:

        def await_part(updates: int) -> None:
            """Wait until a third of the wanted requests was sent for each update."""
            part = wanted * updates / 3
            wait_until(lambda: len(running.outcomes) >= part, timeout=10 + wanted / 20)

        for number in range(2):
            service.release()
            before, app = app, service.attributes("app")
            assert app["Spec"]["TaskTemplate"] != before["Spec"]["TaskTemplate"]
            service.await_update("completed")
            await_part(number + 1)
        refuse_to_start(service)
        service.release()
        service.await_update("rollback_completed")
        await_part(3)
        answered = running.count(200)
        wait_until(lambda: running.count(200) > answered + 20, timeout=10)
    failed = [outcome for outcome in running.outcomes if outcome.status != 200]
    record_property("swarm_updated_sent", len(running.outcomes))
    record_property("swarm_updated_failed", len(failed))
    assert failed == []
    # As the page documents: none of these releases changed the contents of the sidecar's image.
    assert service.attributes("proxy")["Spec"]["TaskTemplate"] == proxy["Spec"]["TaskTemplate"]
    assert service.attributes("app")["Spec"]["TaskTemplate"] == app["Spec"]["TaskTemplate"]


def refuse_to_start(service: Service) -> None:
    """Give the application an invalid setting, with which it does not start."""

    def change(stack: dict) -> None:
        stack["services"]["app"]["environment"]["WEB_THREADS"] = "none"

    service.change(change)
