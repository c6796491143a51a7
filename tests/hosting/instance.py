"""One instance of a service in small: containers that share their network, as sidecars do."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import docker
import requests
from docker.models.containers import Container

from tests.harness.load import ask
from tests.harness.stack import wait_until

from .balancer import IMAGE, balancer
from .conftest import PROBE

PORTS = (8000, 8080)


def probe_views(package: str) -> dict[str, dict[str, str]]:
    """Return the volumes that add the probe's views to the application's image."""
    places = {
        "probe.py": "/app/src/probe.py",
        "recorder.py": "/app/src/recorder.py",
        "wsgi.py": f"/app/src/{package}/wsgi.py",
    }
    return {str(PROBE / name): {"bind": place, "mode": "ro"} for name, place in places.items()}


class Instance:
    """The containers of an instance, and the network interfaces that they share."""

    def __init__(self, client: docker.DockerClient, network: str, holder: Container) -> None:
        self.client = client
        self.network = network
        self.holder = holder
        self.containers: dict[str, Container] = {}

    def start(
        self,
        name: str,
        image: str,
        environment: dict[str, str],
        memory: str,
        volumes: dict[str, dict[str, str]],
    ) -> None:
        """Start a container as the image says, with nothing to write to but /tmp.

        That is stricter than the platforms, which let a container write to its own file system.
        """
        self.containers[name] = self.client.containers.run(
            image,
            detach=True,
            network_mode=f"container:{self.holder.id}",
            environment=environment,
            read_only=True,
            tmpfs={"/tmp": ""},  # noqa: S108 # the container's own
            mem_limit=memory,
            volumes=volumes,
        )

    def address(self, port: int) -> str:
        """Return where the network sees one of the ports."""
        networks = self.holder.attrs["NetworkSettings"]["Networks"]
        return f"{networks[self.network]['IPAddress']}:{port}"

    def status(self, port: int, path: str) -> int | None:
        """Ask as the platform's own checks do; None where nobody answers."""
        published = self.holder.ports[f"{port}/tcp"][0]["HostPort"]
        url = f"http://127.0.0.1:{published}{path}"
        try:
            return requests.get(url, timeout=5, allow_redirects=False).status_code
        except requests.RequestException:
            return None

    def wait_for(self, port: int, path: str, *, seconds: float) -> None:
        """Ask until the answer is 200. Fails with the logs after so many seconds."""
        wait_until(lambda: self.status(port, path) == 200, timeout=seconds, told=self.logs)

    def logs(self, name: str = "") -> str:
        """Return what all containers have logged, or one of them."""
        containers = [self.containers[name]] if name else self.containers.values()
        return "\n".join(container.logs().decode() for container in containers)

    def stop(self, *, seconds: float) -> dict[str, int]:
        """Send SIGTERM to all containers at once; return their statuses once all have ended.

        Whatever their images ask for: the platforms say SIGTERM. Fails where one is still there
        after so many seconds, when the platform would kill it.
        """
        for container in self.containers.values():
            container.kill("SIGTERM")

        def ended() -> dict[str, int]:
            for container in self.containers.values():
                container.reload()
            states = {name: found.attrs["State"] for name, found in self.containers.items()}
            if any(state["Running"] for state in states.values()):
                return {}
            return {name: state["ExitCode"] for name, state in states.items()}

        return wait_until(ended, timeout=seconds, told=self.logs)

    def stop_in_the_midst(self, port: int, forwarded_for: str, *, seconds: float) -> None:
        """Stop while two requests are worked on: both are answered whole, and all ends with 0."""
        upstream = self.address(port)
        with (
            balancer(self.client, upstream, forwarded_for, network=self.network) as url,
            ThreadPoolExecutor() as pool,
        ):
            names = ["a", "b"]
            asked = [
                pool.submit(ask, f"{url}/probe/{view}/2.5/{name}")
                for view, name in zip(["work", "drip"], names, strict=True)
            ]
            wait_until(
                lambda: all(f"began {name}" in self.logs("app") for name in names), timeout=10
            )
            statuses = self.stop(seconds=seconds)
            outcomes = [request.result() for request in asked]
        for outcome in outcomes:
            assert (outcome.status, outcome.cut) == (200, False), self.logs()
            assert outcome.text == f"{outcome.name}\n" * 1000
        assert set(statuses.values()) == {0}, self.logs()


@contextmanager
def instance(client: docker.DockerClient) -> Iterator[Instance]:
    """Yield an instance without containers, and remove whatever was started in it."""
    network = client.networks.create(f"instance-{uuid4().hex[:12]}")
    holder = client.containers.run(
        IMAGE,
        ["sleep", "infinity"],
        entrypoint="",
        detach=True,
        network=network.name,
        ports={f"{port}/tcp": ("127.0.0.1", 0) for port in PORTS},
    )
    found = Instance(client, network.name, holder)
    try:

        def published() -> bool:
            holder.reload()
            return all(holder.ports.get(f"{port}/tcp") for port in PORTS)

        wait_until(published, timeout=10)
        yield found
    finally:
        for container in (*found.containers.values(), holder):
            container.remove(force=True)
        network.remove()
