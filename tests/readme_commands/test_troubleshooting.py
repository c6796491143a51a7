"""docs/troubleshooting.md: its symptoms are reproduced and its commands are run."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.readme import blocks, run_page
from tests.lib.stack import Stack, run_stack, wait_until
from tests.lib.template import PAIRS, ROOT, generate

PAGE = ROOT / "docs" / "troubleshooting.md"
PACKAGE = "troubled"
HOST = "good.example"
SETTINGS = {
    "TRUSTED_HOSTS": HOST,
    "REQUEST_TIMEOUT": "2",
    "MAX_CONTENT_LENGTH": "4194304",
    "PROXY_TMP_SIZE": "4M",
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


@blueprint.get("/large")
def large() -> str:
    # More than the container's memory and swap, which Docker limits to twice the memory.
    return str(len(b"x" * (1200 << 20)))


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


def write_settings(project: Path, settings: dict[str, str]) -> None:
    (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()), "utf-8")


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield a running project with faulty views and low limits."""
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
    write_settings(project, SETTINGS)
    # The project name of compose.yaml, so that the page's commands work unchanged.
    with run_stack(pair, project, slug) as stack:
        stack.session.headers["Host"] = HOST
        yield stack


@pytest.fixture
def patient(stack: Stack) -> Iterator[Stack]:
    """Provide the stack with the default REQUEST_TIMEOUT."""
    write_settings(stack.folder, SETTINGS | {"REQUEST_TIMEOUT": ""})
    stack.start()
    yield stack
    write_settings(stack.folder, SETTINGS)
    stack.start()


def assert_told(stack: Stack, heading: str) -> None:
    """Check that the containers logged each line that the page quotes under a heading."""
    (quoted,) = blocks(PAGE, "text", heading)
    for line in quoted.splitlines():

        def found(line: str = line) -> bool:
            return line in stack.compose("logs --no-color")

        wait_until(found, timeout=10, told=stack.evidence)


def test_too_slow(stack: Stack):
    assert stack.get("/slow").status_code == 504
    assert_told(stack, "504 Gateway Timeout")


def test_too_large(stack: Stack):
    assert stack.request("POST", "/form", data=bytes(5_000_000)).status_code == 413
    field = {"field": (None, "x" * 600_000)}
    assert stack.request("POST", "/form", files=field).status_code == 413
    assert_told(stack, "413 Content Too Large")


def test_upload_that_does_not_fit_into_tmp(stack: Stack):
    # The proxy's /tmp also contains some small files.
    assert stack.request("POST", "/form", data=bytes(4_194_304)).status_code == 500
    assert_told(stack, "500 on uploads")


def test_another_host(stack: Stack):
    assert stack.get("/", headers={"Host": "other.example"}).status_code == 400
    assert stack.get("/health/proxy", headers={"Host": "other.example"}).status_code == 200
    assert_told(stack, "400 Bad Request on every page")


def test_the_file_system_is_read_only(stack: Stack):
    assert stack.get("/write").status_code == 500
    assert_told(stack, "Permission denied, Read-only file system")


def test_static_file_that_is_not_in_the_image(stack: Stack):
    assert stack.get("/static/none.css").status_code == 404
    assert_told(stack, "404 for a static file")


def test_worker_without_a_heartbeat(stack: Stack):
    assert stack.get("/stuck").status_code in (502, 504)
    assert_told(stack, "WORKER TIMEOUT")


def test_worker_without_memory(patient: Stack):
    """Where the CPU is busy, filling the memory takes longer than the other tests' time limit."""
    assert patient.get("/large").status_code == 502
    assert_told(patient, "Out of memory")
    killed = run_page(PAGE, "docker inspect --format '{{.State.OOMKilled", patient.folder)
    assert killed.strip() == "true"
    patient.wait_for_upstream()
    assert patient.get("/").status_code == 200


def test_application_unavailable(stack: Stack):
    """The page's commands show the stopped application and start it again."""
    stack.compose("stop app")
    assert stack.get("/").status_code == 502
    assert_told(stack, "502 Bad Gateway")
    assert "Exited" in run_page(PAGE, "docker compose ps --all", stack.folder)
    assert '"status":502' in run_page(PAGE, "docker compose logs --tail 50 proxy", stack.folder)
    run_page(PAGE, "docker compose up --wait", stack.folder)
    stack.wait_for_upstream()
    assert stack.pair.server in run_page(PAGE, "docker compose logs --tail 50 app", stack.folder)
    assert stack.get("/").status_code == 200


def test_troubleshooting_of_the_health_check(stack: Stack):
    """The page's command shows a failed check, minutes before the engine reports "unhealthy"."""
    with (stack.folder / "src" / PACKAGE / "health.py").open("a", encoding="utf-8") as file:
        file.write("\n\nblueprint.before_request(lambda: 1 / 0)\n")
    stack.compose("up --build --detach app")
    wait_until(
        lambda: "returned 500" in run_page(PAGE, "docker inspect --format '{{range", stack.folder),
        timeout=20,
        told=stack.evidence,
    )


def test_no_health_endpoint(stack: Stack):
    """An application without health endpoints is detected within seconds."""
    package = stack.folder / "src" / PACKAGE
    (package / "wsgi.py").write_text("import flask\n\napp = flask.Flask(__name__)\n", "utf-8")
    stack.compose("build app")
    began = time.monotonic()
    with pytest.raises(Exception, match=r"unhealthy|exited"):
        stack.compose("up --wait app")
    assert time.monotonic() - began < 30
    assert_told(stack, "The container stops again at once")
