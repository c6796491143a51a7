"""Development: edits of a project, and the time until the change is visible."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from .stack import CA_BUNDLE, run, wait_until

DEVELOPER = Path(__file__).parent / "developer"

VIEW = """

@blueprint.get("/saved")
def saved() -> str:
    return {}
"""

Save = Callable[[str, str, str], requests.Response]


@contextmanager
def developer(
    project: Path, *, with_docker: bool = False, **environment: str
) -> Iterator[list[str]]:
    """Yield the start of a command that runs in the project, in an image with Python and git.

    ``with_docker``: docker is there too, with the engine of the tests.
    """
    version = (project / ".python-version").read_text(encoding="utf-8").strip()
    image = f"{project.name}-developer"
    python = f"PYTHON_IMAGE=python:{version}-slim-trixie"
    run(["docker", "build", "--quiet", "--build-arg", python, "--tag", image, "."], cwd=DEVELOPER)
    owner = f"{os.getuid()}:{os.getgid()}"
    command = ["docker", "run", "--rm", "--network", "host", "--user", owner, "--env", "HOME=/tmp"]
    command += ["--volume", f"{project}:{project}", "--workdir", str(project)]
    if CA_BUNDLE.is_file():
        command += ["--volume", f"{CA_BUNDLE}:/ca.pem:ro", "--env", "PIP_CERT=/ca.pem"]
    if with_docker:
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        socket = Path(host.removeprefix("unix://"))
        command += ["--volume", f"{shutil.which('docker')}:/usr/local/bin/docker:ro"]
        command += ["--volume", f"{socket}:/var/run/docker.sock"]
        command += ["--group-add", str(socket.stat().st_gid)]
    for name, value in environment.items():
        command += ["--env", f"{name}={value}"]
    try:
        yield [*command, image]
    finally:
        run(["docker", "image", "rm", "--no-prune", image], cwd=project)


@contextmanager
def saving(project: Path) -> Iterator[Save]:
    """Yield a function that saves a view and sends requests until the response contains a text.

    The view returns the given expression. It is saved again when the text does not appear: the
    reloader misses a change that is saved while it restarts. At the end the module is restored.
    Every save sets the original modification time, as if all saves happened in one second: stale
    bytecode must not be used.
    """
    module = next(project.glob("src/*/pages.py"))
    text = module.read_text(encoding="utf-8")
    saved_at = module.stat().st_mtime

    def save(result: str, url: str, expected: str) -> requests.Response:
        for _ in range(4):
            module.write_text(text + VIEW.format(result), encoding="utf-8")
            os.utime(module, (saved_at, saved_at))
            with suppress(AssertionError):
                return wait_for(f"{url}/saved", expected, timeout=4)
        return wait_for(f"{url}/saved", expected, timeout=0)

    yield save
    module.write_text(text, encoding="utf-8")


def wait_for(url: str, text: str, *, timeout: float = 15) -> requests.Response:
    """Send requests until a response contains this text, and return it."""
    told = "nothing"

    def found() -> list[requests.Response]:
        nonlocal told
        try:
            response = requests.get(url, timeout=5)
        except requests.RequestException as error:  # the server restarts
            told = str(error)
            return []
        told = f"{response.status_code} {response.text}"
        # In a list, because a Response with an error status is falsy.
        return [response] if text in response.text else []

    return wait_until(found, timeout=timeout, told=lambda: f"{text!r} at {url}; the last: {told}")[
        0
    ]


def seconds_until_saved_counts(save: Save, url: str) -> float:
    """Return the shortest of five times from save to changed response.

    The shortest, because other load on this machine can only make it longer.
    """
    took = []
    for number in range(5):
        began = time.monotonic()
        save(f'"saved {number}"', url, f"saved {number}")
        took.append(round(time.monotonic() - began, 2))
    return min(took)
