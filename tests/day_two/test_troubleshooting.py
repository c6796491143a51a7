"""docs/troubleshooting.md: the symptoms that it tells of, brought about; its commands, run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.harness.readme import run_page, text_under
from tests.harness.stack import Stack, run_stack, wait_until
from tests.harness.template import PAIRS, ROOT, generate

PAGE = ROOT / "docs" / "troubleshooting.md"
PACKAGE = "troubled"
HOST = "good.example"
SETTINGS = {
    "TRUSTED_HOSTS": HOST,
    "REQUEST_TIMEOUT": "2",
    "MAX_CONTENT_LENGTH": "4000000",
    "PROXY_TMP": "1M",
}
VIEWS = """

@blueprint.get("/slow")
def slow() -> str:
    import time

    time.sleep(3)
    return "at last"


@blueprint.get("/stuck")
def stuck() -> str:
    import re

    # One of the endless ones: it keeps all other threads of its process from running.
    return str(re.match("(a|a)+$", "a" * 40 + "b"))


@blueprint.get("/write")
def write() -> str:
    from pathlib import Path

    Path("notes").write_text("mine", encoding="utf-8")
    return "written"


@blueprint.post("/form")
def form() -> str:
    from flask import request

    return str(len(request.form))
"""


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A project with views that make trouble, and with tight settings."""
    pair = PAIRS[0]
    slug = f"troubled-{os.getpid()}"
    project = generate(
        tmp_path_factory.mktemp("troubled"),
        project_slug=slug,
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
    )
    with (project / "src" / PACKAGE / "pages.py").open("a", encoding="utf-8") as pages:
        pages.write(VIEWS)
    (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in SETTINGS.items()), "utf-8")
    # The name is the one that compose.yaml gives, so that the page's commands find it.
    with run_stack(pair, project, slug) as stack:
        stack.session.headers["Host"] = HOST
        yield stack


def assert_told(stack: Stack, heading: str) -> None:
    """See each line that the page quotes under a heading in what the containers logged."""
    for line in text_under(PAGE, heading).splitlines():
        wait_until(
            lambda line=line: line in stack.compose("logs --no-color"),
            timeout=10,
            told=lambda line=line: f"{line} in\n{stack.compose('logs --no-color --tail 40')}",
        )
