"""The same views in a plain Flask application, served with other set-ups: the baselines."""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.lib.stack import Stack, wait_until
from tests.lib.template import EXPECTATIONS, FACTS, Pair

from .load import Generator, Work, load_generator
from .noise import Engine

BENCH = Path(__file__).parent
PLAIN = BENCH / "documented"
JSON = Work("/bench/json", connections=32)
ENGINE = Engine()


@dataclass(frozen=True)
class Deployment:
    """A running application to measure: its containers by part, and its load generator."""

    containers: dict[str, Container]
    generator: Generator

    def cpu_time(self) -> dict[str, float]:
        """Return the microseconds of CPU time that each container and the engine have used."""
        found = {}
        for part, container in self.containers.items():
            use = container.stats(stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]
            found[part] = use["total_usage"] / 1e3
        return found | {"engine": ENGINE.time()}


@dataclass(frozen=True)
class Setup:
    """A set-up that serves an application: a command, and optionally a proxy in front of it."""

    command: tuple[str, ...]
    # The port on which the command listens.
    port: int = 8000
    proxy: str = ""
    # The lines of the proxy's configuration, which its command reads from a file.
    configuration: tuple[str, ...] = ()
    # A package of the tests' environment that the command needs.
    library: str = ""
    cpus: float = 1.0


def documented(pair: Pair) -> Setup:
    """Return a pair's set-up according to Flask's documentation, or to the server's own."""
    server = EXPECTATIONS["_servers"][pair.server]["documented"]
    proxy = EXPECTATIONS["_proxies"][pair.proxy]["documented"]
    return Setup(
        tuple(server["command"]),
        proxy=pair.proxy,
        configuration=tuple(proxy["configuration"]),
        library=server["library"],
    )


@contextmanager
def serve(stack: Stack, setup: Setup) -> Iterator[Deployment]:
    """Serve the plain application in the stack's application image; yield its deployment.

    Interpreter, packages and memory limit are the pair's, so that only the set-up differs.
    As in the documentation, proxy and server run on one machine: they share a network and a folder
    for sockets.
    """
    engine = docker.from_env()
    own = stack.container("app")
    mounts = {str(PLAIN): "/documented", str(BENCH / "app"): "/bench"}
    if setup.library:
        (source,) = importlib.util.find_spec(setup.library).submodule_search_locations
        mounts[source] = f"/documented-libraries/{setup.library}"
    shared = stack.folder / "shared"
    shared.mkdir(exist_ok=True)
    shared.chmod(0o777)
    volumes = {str(shared): {"bind": "/shared", "mode": "rw"}}
    volumes |= {source: {"bind": place, "mode": "ro"} for source, place in mounts.items()}
    containers: dict[str, Container] = {}
    with ExitStack() as exits:

        def start(part: str, image: str, command: tuple[str, ...], **arguments) -> Container:
            container = engine.containers.run(
                image,
                entrypoint=list(command),
                command=[],
                detach=True,
                # Compose labels its images; with this label, the container would count as the
                # pair's.
                labels={"com.docker.compose.project": ""},
                nano_cpus=round(setup.cpus * 1e9),
                mem_limit=own.attrs["HostConfig"]["Memory"],
                **arguments,
            )
            exits.callback(container.remove, force=True)
            containers[part] = container
            return container

        app = start(
            "app",
            own.attrs["Config"]["Image"],
            setup.command,
            working_dir="/documented",
            environment={"PYTHONPATH": "/documented:/bench:/documented-libraries"},
            volumes=volumes,
        )
        if setup.proxy:
            file = stack.folder / f"configuration-{len(list(stack.folder.iterdir()))}"
            file.write_text("\n".join(setup.configuration) + "\n", encoding="utf-8")
            start(
                "proxy",
                FACTS["_proxies"][setup.proxy]["image"],
                tuple(EXPECTATIONS["_proxies"][setup.proxy]["documented"]["command"]),
                network_mode=f"container:{app.id}",
                volumes={
                    str(file): {"bind": "/documented-proxy", "mode": "ro"},
                    str(shared): {"bind": "/shared", "mode": "rw"},
                },
            )
        generator = exits.enter_context(load_generator(app, 80 if setup.proxy else setup.port))

        def logs() -> str:
            return "\n".join(container.logs().decode() for container in containers.values())

        wait_until(lambda: generator.responds(JSON), timeout=30, told=logs)
        yield Deployment(containers, generator)
