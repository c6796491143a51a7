"""Emulated platforms: running containers, a bundle on the platform's Python, shutdown."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import docker
from docker.models.containers import Container

from tests.lib.load import ask
from tests.lib.stack import run, wait_until

from .conftest import PROBE

# An arbitrary user: each platform chooses its own.
USER = "10001:10001"

DOCKERFILE = """
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ARG VIRTUAL_ENV
RUN python -m venv ${VIRTUAL_ENV}
ENV PATH=${VIRTUAL_ENV}/bin:$PATH
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca_bundle \\
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \\
    && pip install --quiet --requirement requirements.txt
"""


def probe_views(package: str) -> dict[str, dict[str, str]]:
    """Return the volumes that add the probe's views to the application's image."""
    places = {
        "probe.py": "/app/src/probe.py",
        "recorder.py": "/app/src/recorder.py",
        "wsgi.py": f"/app/src/{package}/wsgi.py",
    }
    return {str(PROBE / name): {"bind": place, "mode": "ro"} for name, place in places.items()}


def add_probe(bundle: Path, package: str) -> None:
    """Add the probe's views to the application in a bundle."""
    for name, place in (("probe.py", ""), ("recorder.py", ""), ("wsgi.py", package)):
        shutil.copy(PROBE / name, bundle / "src" / place / name)


def install(bundle: Path, python_version: str, tag: str, *, virtual_env: str = "/opt/venv") -> None:
    """Build an image of Python with only the packages of the bundle's requirements.txt."""
    dockerfile = bundle.with_name(f"{bundle.name}.Dockerfile")
    dockerfile.write_text(DOCKERFILE, encoding="utf-8")
    arguments = [
        *("--build-arg", f"PYTHON_IMAGE=python:{python_version}-slim-trixie"),
        *("--build-arg", f"VIRTUAL_ENV={virtual_env}"),
    ]
    secret = f"id=ca_bundle,src={os.environ.get('CA_BUNDLE', '/dev/null')}"
    command = ["docker", "build", "--tag", tag, *arguments, "--secret", secret]
    run([*command, "--file", dockerfile, "."], cwd=bundle)


@contextmanager
def network(client: docker.DockerClient) -> Iterator[str]:
    """Create a network, and remove it afterwards."""
    made = client.networks.create(f"hosting-{uuid4().hex[:12]}")
    try:
        yield made.name
    finally:
        made.remove()


@contextmanager
def container(client: docker.DockerClient, image: str, **arguments) -> Iterator[Container]:
    """Run a container in the background, and remove it with its volumes afterwards."""
    running = client.containers.run(image, detach=True, **arguments)
    try:
        yield running
    finally:
        running.remove(v=True, force=True)


@contextmanager
def served(
    client: docker.DockerClient,
    image: str,
    bundle: Path,
    place: str,
    command: str,
    environment: dict[str, str],
    *,
    memory: str,
    network: str,
    volumes: Mapping[str, dict[str, str]] = MappingProxyType({}),
) -> Iterator[Container]:
    """Run a command line in ``place``, where the bundle is mounted; only /tmp is writable.

    The shell is Bash, as on the platforms: the command replaces the shell's process. ``volumes``
    are additional mounts.
    """
    with container(
        client,
        image,
        command=["bash", "-c", command],
        init=True,
        network=network,
        working_dir=place,
        volumes={str(bundle): {"bind": place, "mode": "ro"}, **volumes},
        environment=environment,
        user=USER,
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 # the container's own
        mem_limit=memory,
    ) as running:
        yield running


def stop_in_the_midst(
    url: str, log: Callable[[], str], stop: Callable[[], Sequence[int]], *, seconds: float
) -> None:
    """Check that in-flight requests complete during shutdown, and that exit codes are 0.

    ``stop`` stops the service and returns the exit codes; ``log`` returns the application's log.
    """
    views = ("work", "drip")
    with ThreadPoolExecutor() as pool:
        names = [uuid4().hex for _ in views]
        asked = [
            pool.submit(ask, f"{url}/probe/{view}/{seconds}/{name}")
            for view, name in zip(views, names, strict=True)
        ]
        wait_until(lambda: all(f"began {name}" in log() for name in names), timeout=10, told=log)
        statuses = stop()
        outcomes = [request.result() for request in asked]
    for name, outcome in zip(names, outcomes, strict=True):
        assert (outcome.status, outcome.cut) == (200, False), log()
        assert outcome.text == f"{name}\n" * 1000
    assert set(statuses) == {0}, log()
