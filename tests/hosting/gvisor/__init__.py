"""Containers under gVisor, as on App Engine and Cloud Run's first generation.

Its runtime, runsc, runs in a privileged container on any Docker engine. The container's image has
runsc and the guest's files. gVisor's own network stack is not available there: the guest uses the
container's network. https://gvisor.dev/docs/
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.lib.stack import run
from tests.lib.template import PYTHON_VERSIONS, base_images

from ..runtime import USER, container

HERE = Path(__file__).parent


@contextmanager
def guest(
    client: docker.DockerClient,
    image: str,
    *,
    environment: dict[str, str],
    volumes: dict[str, dict[str, str]],
    command: Sequence[str] = (),
    working_dir: str = "",
    **arguments,
) -> Iterator[Container]:
    """Run an image under gVisor, with only tmpfs writable; clean up afterwards.

    The yielded container has the guest's log, passes SIGTERM on to it, and exits with its status.
    """
    tag = f"{image}:under-gvisor"
    (base,) = base_images(PYTHON_VERSIONS[:1], [])
    given = ["--build-arg", f"BASE={base}", "--build-arg", f"GUEST={image}"]
    run(["docker", "build", "--tag", tag, *given, "."], cwd=HERE)
    own = client.images.get(image).attrs["Config"]
    user, group = (own["User"] or USER).split(":")
    memory = {"type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
    bundle = {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": list(command) or own["Entrypoint"] + own["Cmd"],
            "cwd": working_dir or own["WorkingDir"],
            "env": own["Env"] + [f"{name}={value}" for name, value in environment.items()],
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/tmp"} | memory,  # noqa: S108 # the guest's own
            {"destination": "/dev/shm"} | memory,  # noqa: S108
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
    }
    mounted = {
        source: mount | {"bind": f"/bundle/rootfs{mount['bind']}"}
        for source, mount in volumes.items()
    }
    try:
        with container(
            client,
            tag,
            privileged=True,
            environment={"BUNDLE": json.dumps(bundle)},
            volumes=mounted,
            **arguments,
        ) as running:
            yield running
    finally:
        client.images.remove(tag)
