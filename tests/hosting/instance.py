"""An emulated instance of a service: containers that share a network, as sidecars do."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import docker
import requests
from docker.models.containers import Container

from tests.lib.stack import wait_until

from . import gvisor
from .balancer import IMAGE, balancer
from .runtime import container, network, stop_in_the_midst

PORTS = (8000, 8080)


class Instance:
    """The containers of an instance, and the network interfaces that they share."""

    def __init__(
        self, client: docker.DockerClient, network: str, holder: Container, *, under_gvisor: bool
    ) -> None:
        self.client = client
        self.network = network
        self.holder = holder
        self.under_gvisor = under_gvisor
        # Stops and removes the started containers.
        self.started = ExitStack()
        self.containers: dict[str, Container] = {}

    def start(
        self,
        name: str,
        image: str,
        environment: dict[str, str],
        memory: str,
        volumes: dict[str, dict[str, str]],
    ) -> None:
        """Start a container with the image's command, and only /tmp writable.

        This is stricter than the platforms, where a container can write to its own file system.
        """
        arguments = {"environment": environment, "volumes": volumes, "mem_limit": memory}
        arguments["network_mode"] = f"container:{self.holder.id}"
        if self.under_gvisor:
            running = gvisor.guest(self.client, image, **arguments)
        else:
            tmpfs = {"/tmp": ""}  # noqa: S108 # the container's own
            running = container(self.client, image, read_only=True, tmpfs=tmpfs, **arguments)
        self.containers[name] = self.started.enter_context(running)

    def address(self, port: int) -> str:
        """Return the address of one of the ports inside the network, as host:port."""
        networks = self.holder.attrs["NetworkSettings"]["Networks"]
        return f"{networks[self.network]['IPAddress']}:{port}"

    def status(self, port: int, path: str) -> int | None:
        """Return the status that a platform's health check gets; None without a response."""
        published = self.holder.ports[f"{port}/tcp"][0]["HostPort"]
        url = f"http://127.0.0.1:{published}{path}"
        try:
            return requests.get(url, timeout=5, allow_redirects=False).status_code
        except requests.RequestException:
            return None

    def wait_for(self, port: int, path: str, *, seconds: float) -> None:
        """Wait until the response is 200. Fails with the logs after ``seconds``."""
        wait_until(lambda: self.status(port, path) == 200, timeout=seconds, told=self.logs)

    def logs(self) -> str:
        """Return the containers' logs."""
        return "\n".join(running.logs().decode() for running in self.containers.values())

    def stop(self, *, seconds: float) -> dict[str, int]:
        """Send SIGTERM to all containers at once; return their exit codes when all have exited.

        Platforms send SIGTERM, whatever stop signal the images define. Fails if a container still
        runs after ``seconds``, when the platform would kill it.
        """
        for running in self.containers.values():
            running.kill("SIGTERM")

        def ended() -> dict[str, int]:
            for running in self.containers.values():
                running.reload()
            states = {name: found.attrs["State"] for name, found in self.containers.items()}
            if any(state["Running"] for state in states.values()):
                return {}
            return {name: state["ExitCode"] for name, state in states.items()}

        return wait_until(ended, timeout=seconds, told=self.logs)

    def stop_in_the_midst(self, port: int, forwarded_for: str, *, seconds: float) -> None:
        """Check that in-flight requests complete during shutdown, and that exit codes are 0."""
        upstream = self.address(port)
        with balancer(self.client, upstream, forwarded_for, network=self.network) as url:
            stop_in_the_midst(
                url,
                self.logs,
                lambda: list(self.stop(seconds=seconds).values()),
                seconds=2.5,
            )


@contextmanager
def instance(client: docker.DockerClient, *, under_gvisor: bool = False) -> Iterator[Instance]:
    """Yield an instance without containers; afterwards remove those that were started in it."""
    ports = {f"{port}/tcp": ("127.0.0.1", 0) for port in PORTS}
    with (
        network(client) as inside,
        container(
            client,
            IMAGE,
            command=["sleep", "infinity"],
            entrypoint="",
            network=inside,
            ports=ports,
        ) as holder,
    ):
        found = Instance(client, inside, holder, under_gvisor=under_gvisor)

        def published() -> bool:
            holder.reload()
            return all(holder.ports.get(port) for port in ports)

        wait_until(published, timeout=10)
        with found.started:
            yield found
