"""The baseline: the same application by the commands and snippets of Flask's documentation."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.harness.stack import Stack, wait_until
from tests.harness.template import FACTS

FOLDER = Path(__file__).parent / "documented"


@contextmanager
def run_documented(stack: Stack, package: str) -> Iterator[Container]:
    """Run the pair as documented, under the same limits; yield what answers at port 80.

    The application's image is the stack's own: the interpreter, the packages and the application
    are the same, so that what differs is how it is served. As documented, proxy and server are on
    one machine: the proxy shares the server's network.
    """
    engine = docker.from_env()
    server = FACTS["_servers"][stack.pair.server]["documented"]
    proxy = FACTS["_proxies"][stack.pair.proxy]
    own = stack.container("app")
    limits = own.attrs["HostConfig"]
    mounts = {
        str(FOLDER): "/documented",
        **{
            mount["Source"]: mount["Destination"]
            for mount in own.attrs["Mounts"]
            if mount["Type"] == "bind"
        },
    }
    if library := server["library"]:
        (source,) = importlib.util.find_spec(library).submodule_search_locations
        mounts[source] = f"/documented-libraries/{library}"
    snippet = stack.folder / "documented-proxy"
    snippet.write_text("\n".join(proxy["documented"]["configuration"]) + "\n", encoding="utf-8")
    started: list[Container] = []

    def start(image: str, command: list[str], **arguments) -> Container:
        container = engine.containers.run(
            image,
            entrypoint=command,
            command=[],
            detach=True,
            # Compose labels its images; by these it would be counted among the pair's own.
            labels={"com.docker.compose.project": ""},
            nano_cpus=limits["NanoCpus"],
            mem_limit=limits["Memory"],
            **arguments,
        )
        started.append(container)
        return container

    try:
        app = start(
            own.attrs["Config"]["Image"],
            server["command"],
            working_dir="/documented",
            environment={
                "PACKAGE": package,
                "PYTHONPATH": "/app/src:/documented:/documented-libraries",
                "SECRET_KEY_FILE": "/run/secrets/secret_key",
            },
            volumes={source: {"bind": place, "mode": "ro"} for source, place in mounts.items()},
        )
        start(
            proxy["image"],
            proxy["documented"]["command"],
            network_mode=f"container:{app.id}",
            volumes={str(snippet): {"bind": "/documented-proxy", "mode": "ro"}},
        )

        def answers() -> bool:
            ask = "import urllib.request as u; u.urlopen('http://127.0.0.1/bench/json').read()"
            return app.exec_run(["python", "-c", ask]).exit_code == 0

        def logs() -> str:
            return "\n".join(container.logs().decode() for container in started)

        wait_until(answers, timeout=30, told=logs)
        yield app
    finally:
        for container in reversed(started):
            container.remove(force=True)
