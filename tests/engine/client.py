"""Runs the docker command line client."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import EngineError

PLUGINS = {
    "compose": "Docker Compose v2 (package docker-compose-plugin or docker-compose-v2)",
    "buildx": "Docker Buildx (package docker-buildx-plugin or docker-buildx)",
}


class Docker:
    """The docker client with the environment variables for one engine."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = {**os.environ, **env}

    def command(self, *args: str | Path) -> list[str]:
        """Return a docker command; the program is found with the PATH in ``env``."""
        return ["docker", *map(str, args)]

    def run(self, *args: str | Path, timeout: float | None = None) -> subprocess.CompletedProcess:
        """Run a docker command and capture its output; the caller checks its status."""
        return subprocess.run(
            ["/usr/bin/env", *self.command(*args)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )


def answers(env: Mapping[str, str] | None = None) -> bool:
    """Return whether an engine responds with this environment (by default the caller's)."""
    try:
        return (
            Docker(env or {})
            .run("version", "--format", "{{.Server.Version}}", timeout=20)
            .returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def check_plugins(plugins: Iterable[str] = PLUGINS) -> None:
    """Raise EngineError if the caller's docker client lacks a plugin that the tests need."""
    missing = [name for name in plugins if Docker({}).run(name, "version").returncode]
    if missing:
        needed = " and ".join(PLUGINS[name] for name in missing)
        raise EngineError(
            f"a Docker engine responds, but its client lacks a plugin: install {needed}"
        )
