"""Measurements other than requests: generation, builds, images, startup, memory."""

import gzip
import hashlib
import json
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.images import Image

from tests.lib.stack import Stack, run
from tests.lib.template import FACTS, PYTHON_VERSIONS, base_images

from .figures import median

# The package name of the measured projects.
PACKAGE = "measured"
MB = 1e6

Facts = dict[str, Any]


def duration(action: Callable[[], object]) -> float:
    """Return how many seconds ``action`` took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def generate(template: Path, folder: Path, *extra_context: str) -> float:
    """Generate a project from ``template`` in ``folder``; return how many seconds that took."""
    command = [
        *(sys.executable, "-m", "cookiecutter", template, "--no-input", "--default-config"),
        *("--output-dir", folder, *extra_context),
    ]
    return duration(lambda: run(command, cwd=folder))


# Earlier results, by the server or proxy and by the function's name.
results: dict[tuple[str, str], Facts] = {}


def once(choice: str, find: Callable[..., Facts], *arguments) -> Facts:
    """Call ``find`` once for a server or proxy; return the result, which all of its pairs share."""
    key = choice, find.__name__
    if key not in results:
        results[key] = find(*arguments)
    return results[key]


# --- Building ---


def least_generation() -> Facts:
    """Return the seconds that Cookiecutter takes for a template of a single file."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        project = template / "{{cookiecutter.name}}"
        project.mkdir(parents=True)
        (project / "file").touch()
        (template / "cookiecutter.json").write_text('{"name": "one"}', encoding="utf-8")
        return {"least_generation_s": round(generate(template, Path(folder)), 2)}


def build_times(project: Path) -> Facts:
    """Return the seconds to build the application's image, without a cache and after changes."""

    def build(*arguments: str) -> float:
        command = ["docker", "compose", "build", *arguments, "app"]
        return duration(lambda: run(command, cwd=project))

    def rebuild_after_change(file: str) -> float:
        with (project / file).open("a", encoding="utf-8") as opened:
            opened.write(f"# {time.monotonic_ns()}\n")
        return build()

    cold = build("--no-cache")
    code = [rebuild_after_change(f"src/{PACKAGE}/pages.py") for _ in range(3)]
    return {
        "cold_build_s": round(cold, 2),
        "rebuild_after_code_change_s": median(code, 2),
        "rebuild_after_dependency_change_s": round(rebuild_after_change("requirements.txt"), 2),
    }


def image_of(stack: Stack, service: str) -> Image:
    """Return the newest image of a service."""
    return stack.docker.images.get(stack.container(service).attrs["Config"]["Image"])


def sizes(image: Image, base: str) -> Facts:
    """Return an image's size in MB: in the engine, in addition to its base, and as pushed."""
    size = image.attrs["Size"]
    above = size - docker.from_env().images.get(base).attrs["Size"]
    return {
        "image_mb": round(size / MB, 1),
        "image_over_base_mb": round(above / MB, 2),
        "image_pushed_mb": round(pushed_size(image) / MB, 1),
    }


def app_sizes(stack: Stack) -> Facts:
    """Return the sizes of the application's image and of the minimal image, which replaces it."""
    (base,) = base_images(PYTHON_VERSIONS[:1], [])
    found = sizes(image_of(stack, "app"), base)
    if not FACTS["_servers"][stack.pair.server]["debian_packages"]["run"]:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("APP_BASE", "minimal")
            stack.compose("build app")
        found["minimal_image_mb"] = round(image_of(stack, "app").attrs["Size"] / MB, 1)
    return found


def proxy_sizes(stack: Stack) -> Facts:
    """Return the sizes of the proxy's image."""
    (base,) = base_images([], [stack.pair.proxy])
    found = sizes(image_of(stack, "proxy"), base)
    return {f"proxy_{name}": size for name, size in found.items()}


# Compressed sizes of layers by their hash: all pairs share the layers of the base images.
compressed: dict[str, int] = {}


def pushed_size(image: Image) -> int:
    """Return the bytes that a registry stores for an image: its layers, compressed."""
    total = 0
    with tempfile.TemporaryFile() as archive:
        archive.writelines(image.save())
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            (manifest,) = json.load(tar.extractfile("manifest.json"))
            for name in manifest["Layers"]:
                layer = tar.extractfile(name).read()
                digest = hashlib.sha256(layer).hexdigest()
                if digest not in compressed:
                    is_gzip = layer.startswith(b"\x1f\x8b")
                    compressed[digest] = len(layer if is_gzip else gzip.compress(layer, 6))
                total += compressed[digest]
    return total


# --- Starting and stopping ---


def timestamp(text: str) -> float:
    """Return a timestamp of the engine in seconds; nanoseconds are truncated to microseconds."""
    return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", text)).timestamp()


def start_and_stop(stack: Stack) -> Facts:
    """Return the seconds until the pair is healthy, and until it has stopped when idle."""
    starts, stops = [], []
    for _ in range(3):
        stops.append(duration(lambda: stack.compose("stop")))
        stack.start()
        states = [stack.container(service).attrs["State"] for service in ("app", "proxy")]
        began = timestamp(states[0]["StartedAt"])
        # The engine's log also has health checks from before the stop.
        healthy = [
            min(
                timestamp(check["End"])
                for check in state["Health"]["Log"]
                if not check["ExitCode"] and timestamp(check["Start"]) > began
            )
            for state in states
        ]
        starts.append(max(healthy) - began)
    return {"start_to_healthy_s": median(starts, 2), "idle_stop_s": median(stops, 2)}


def memory(stack: Stack) -> dict[str, float]:
    """Return the MB that each container uses: its cgroup's memory without inactive file cache."""
    found = {}
    for service in ("app", "proxy"):
        use = stack.container(service).stats(stream=False, one_shot=True)["memory_stats"]
        found[service] = round((use["usage"] - use["stats"]["inactive_file"]) / MB, 1)
    return found
