"""A real browser, and stacks whose settings change while they run."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.lib.stack import Stack, run, run_stack, wait_until
from tests.lib.template import PYTHON_VERSIONS, Pair, base_images, generate

BROWSER = Path(__file__).parent / "browser"
BROWSER_IMAGE = "cookiecutter-flask-sidecar-browser"


@pytest.fixture(scope="session")
def browser(engine: None) -> Iterator[Browser]:
    """Debian's Chromium, in a container with the host's network, where stacks are published."""
    (python,) = base_images(PYTHON_VERSIONS[:1], [])
    build = f"docker build --quiet --build-arg PYTHON_IMAGE={python} --tag {BROWSER_IMAGE} ."
    run(build.split(), cwd=BROWSER)
    container = docker.from_env().containers.run(BROWSER_IMAGE, detach=True, network_mode="host")
    try:
        (address,) = wait_until(
            lambda: re.findall(r"listening on (ws://\S+)", container.logs().decode()),
            timeout=20,
            told=lambda: container.logs().decode(),
        )
        with sync_playwright() as playwright:
            yield playwright.chromium.connect_over_cdp(address)
    finally:
        container.remove(force=True)


@pytest.fixture(scope="session")
def start(
    engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Stack]]:
    """A function that generates, builds and starts a pair, with an overlay of compose.yaml."""

    def start(pair: Pair, overlay: str, **answers: str) -> AbstractContextManager[Stack]:
        folder = tmp_path_factory.mktemp(str(pair))
        project = generate(
            folder,
            project_slug=f"seen-{pair}".replace("_", "-"),
            package_name="probed",
            wsgi_server=pair.server,
            proxy=pair.proxy,
            **answers,
        )
        file = folder / "overlay.yaml"
        file.write_text(overlay, encoding="utf-8")
        return run_stack(pair, project, f"{project.name}-{os.getpid()}", file)

    return start
