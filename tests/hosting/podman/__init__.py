"""A machine with Podman, in a privileged container on any Docker engine."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.lib.stack import run
from tests.lib.template import PYTHON_VERSIONS, base_images

from ..runtime import container

HERE = Path(__file__).parent
# Processes that run side by side must not remove each other's image.
IMAGE = f"machine-with-podman-{os.getpid()}"


@dataclass
class Machine:
    """A running machine."""

    container: Container
    project: Path

    def run(self, *command: str) -> str:
        """Run a command in the project; return its output. Raises AssertionError with it."""
        done = self.container.exec_run(list(command), workdir=str(self.project))
        output = done.output.decode()
        assert done.exit_code == 0, f"{command}:\n{output}"
        return output


@contextmanager
def machine(client: docker.DockerClient, project: Path, images: Sequence[str]) -> Iterator[Machine]:
    """Start a machine that has these images and the project, at the same path as here."""
    (base,) = base_images(PYTHON_VERSIONS[:1], [])
    run(["docker", "build", "--tag", IMAGE, "--build-arg", f"BASE={base}", "."], cwd=HERE)
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(["docker", "save", "--output", f"{folder}/images.tar", *images], cwd=HERE)
            # Overlay file systems cannot be stacked: a volume is on the engine's own file system.
            volumes = [f"{path}:{path}:ro" for path in (folder, project)] + ["/var/lib/containers"]
            with container(client, IMAGE, privileged=True, volumes=volumes) as running:
                found = Machine(running, project)
                found.run("podman", "load", "--input", f"{folder}/images.tar")
                for image in images:
                    # The name that compose looks for.
                    found.run("podman", "tag", f"localhost/{image}", f"docker.io/library/{image}")
                yield found
    finally:
        client.images.remove(IMAGE)
