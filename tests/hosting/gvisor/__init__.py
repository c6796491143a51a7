"""Containers under gVisor, as App Engine and Cloud Run's first generation run them.

Its runtime, runsc, runs inside a privileged container of any Docker engine, from an image that holds
it and the guest's files. gVisor's own network stack cannot be had there: the guest has the
container's. https://gvisor.dev/docs/
"""

import json
from pathlib import Path
from typing import Any

import docker

from tests.harness.stack import run
from tests.harness.template import PYTHON_VERSIONS, base_images

ROOT = "/bundle/rootfs"
HERE = Path(__file__).parent


def build(image: str) -> str:
    """Make the image that runs another one under gVisor, and return its name."""
    tag = f"{image}-in-gvisor"
    (python,) = base_images(PYTHON_VERSIONS[:1], [])
    arguments = ["--build-arg", f"PYTHON_IMAGE={python}", "--build-arg", f"GUEST={image}"]
    run(["docker", "build", "--tag", tag, *arguments, "."], cwd=HERE)
    return tag


def guest(
    client: docker.DockerClient,
    image: str,
    *,
    environment: dict[str, str],
    volumes: dict[str, dict[str, str]],
    command: list[str] | None = None,
    working_dir: str | None = None,
) -> dict[str, Any]:
    """Return what to run the built image with; the guest can write to nothing but /tmp."""
    own = client.images.get(image).attrs["Config"]
    user, group = (own["User"] or "10001:10001").split(":")
    memory = {"type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
    specification = {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": command or own["Entrypoint"] + own["Cmd"],
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
    return {
        "privileged": True,
        "environment": {"SPECIFICATION": json.dumps(specification)},
        "volumes": {
            source: mount | {"bind": ROOT + mount["bind"]} for source, mount in volumes.items()
        },
    }
