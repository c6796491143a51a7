"""Development, with compose.dev.yaml and without Docker: reload on save, errors in the browser."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.lib.development import (
    Save,
    developer,
    saving,
    seconds_until_saved_counts,
    wait_for,
)
from tests.lib.load import load
from tests.lib.readme import commands
from tests.lib.stack import Stack, free_port, run, run_stack
from tests.lib.template import PROXIES, SERVERS, Pair

Record = Callable[[str, object], None]

# Flask's own server runs in each server's image. These two servers have another stop signal, or are
# compiled.
PAIRS = [Pair(SERVERS[2], PROXIES[0]), Pair(SERVERS[3], PROXIES[1])]


@pytest.fixture(scope="module")
def development(engine: None, pair: Pair, project: Path) -> Iterator[Stack]:
    """The pair with compose.dev.yaml."""
    up, *_ = commands(project / "README.md", "Develop").splitlines()
    assert up.startswith("docker compose -f compose.yaml -f compose.dev.yaml up --build")
    name = f"{project.name}-{os.getpid()}-dev"
    before = files(project)
    with run_stack(pair, project, name, project / "compose.dev.yaml") as stack:
        yield stack
    assert files(project) == before, "development must leave no files behind"


def files(project: Path) -> set[Path]:
    """Return the files and folders of a project, without the .venv of an earlier test."""
    return {path for path in project.rglob("*") if ".venv" not in path.parts}


@pytest.fixture(scope="module")
def save(project: Path) -> Iterator[Save]:
    """A function that saves a view, and requests it until its response contains a text."""
    with saving(project) as save:
        yield save


def test_saved_module_is_reloaded(development: Stack, save: Save, record_property: Record):
    record_property("reload_seconds", seconds_until_saved_counts(save, development.url))
    assert "Restarting with watchdog" in development.container("app").logs().decode()


def test_the_log_is_readable(development: Stack):
    """Each request is one line of text with its id, and the address is one that works."""
    request_id = development.get("/nothing-here?a=b").headers["X-Request-ID"]
    lines = development.wait_for_log("app", request_id)
    (line,) = [line for line in lines if request_id in line or "/nothing-here" in line]
    assert re.search(rf"INFO GET /nothing-here\?a=b 404 in \d+ ms {request_id}$", line)
    assert any(line.endswith("INFO Running on http://127.0.0.1:0/") for line in lines)
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("rebound.example", 400),
        ("rebound.example:8080", 400),
        ("localhost.rebound.example", 400),
    ],
)
def test_only_this_machine_can_connect(development: Stack, host: str, status: int):
    """No website reaches the debugger by a name that resolves to this machine (DNS rebinding)."""
    # An error page would include the debugger.
    assert development.get("/", headers={"Host": host}).status_code == status


def test_saved_template_and_static_file_are_used_at_once(development: Stack, project: Path):
    for name, path in (("templates/index.html", "/"), ("static/style.css", "/static/style.css")):
        (file,) = project.glob(f"src/*/{name}")
        text = file.read_text(encoding="utf-8")
        first = development.get(path)
        file.write_text(text + "<!-- saved -->", encoding="utf-8")
        try:
            response = development.get(
                path, headers={"If-None-Match": first.headers.get("ETag", "")}
            )
            assert response.status_code == 200
            assert "<!-- saved -->" in response.text
        finally:
            file.write_text(text, encoding="utf-8")
    assert response.headers["Server"] == first.headers["Server"]
    assert "X-Request-ID" in response.headers


def test_static_files_have_plain_urls(development: Stack):
    """A URL with a hash would be cached for a year, while the file changes."""
    assert 'href="/static/style.css"' in development.get("/").text
    for name in ("style.css", "style.0a0fedcba9876543.css"):
        response = development.get(f"/static/{name}")
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-cache")


def test_saved_title_is_shown(development: Stack, project: Path):
    """The server restarts for about.toml too, although it is no module."""
    (file,) = project.glob("src/*/about.toml")
    text = file.read_text(encoding="utf-8")
    wait_for(development.url, "<title>My Flask Service")
    try:
        file.write_text(text.replace("My Flask Service", "Renamed"), encoding="utf-8")
        wait_for(development.url, "<title>Renamed")
    finally:
        file.write_text(text, encoding="utf-8")
    wait_for(development.url, "<title>My Flask Service")


def test_no_request_fails_while_the_application_reloads(development: Stack, save: Save):
    with load(f"{development.url}/?", clients=2) as running:
        for word in ("one", "two", "three"):
            save(f'"{word}"', development.url, word)
    failed = [outcome for outcome in running.outcomes if outcome.status != 200]
    assert not failed


def test_module_outside_the_package_is_reloaded_too(development: Stack, project: Path):
    module = project / "src" / "beside.py"
    module.touch()
    try:
        code, output = development.container("app").exec_run(["python", "-c", "import beside"])
    finally:
        module.unlink()
    assert code == 0, output.decode()


def test_smoke_test_passes_in_development_too(
    development: Stack, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """It finds the published port."""
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", development.name)
    smoke = ["pytest", "-p", "no:cacheprovider", "tests/smoke"]
    run([sys.executable, "-B", "-m", *smoke], cwd=project)


def test_broken_module_is_shown_and_can_be_fixed(development: Stack, save: Save):
    response = save("(", development.url, "SyntaxError")
    assert response.status_code == 500
    assert "Werkzeug Debugger" in response.text
    assert save('"mended"', development.url, "mended").status_code == 200


def test_the_debugger_requires_its_pin(development: Stack, save: Save):
    page = save("str(1 / 0)", development.url, "ZeroDivisionError").text
    (secret,) = re.findall(r'SECRET = "(\w+)"', page)
    frame = re.findall(r'id="frame-(\d+)"', page)[-1]
    with requests.Session() as session:

        def debug(**arguments: str) -> requests.Response:
            asked = {"__debugger__": "yes", "s": secret, **arguments}
            return session.get(f"{development.url}/saved", params=asked, timeout=5)

        assert "1764" not in debug(cmd="42 * 42", frm=frame).text
        log = development.container("app").logs().decode()
        pin = re.findall(r"Debugger PIN: ([\d-]+)", log)[-1]
        assert debug(cmd="pinauth", pin=pin).json()["auth"] is True
        assert "1764" in debug(cmd="42 * 42", frm=frame).text


def test_containers_have_the_restrictions_of_production(development: Stack):
    for container in development.containers():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert container.attrs["Config"]["User"] not in ("", "0", "root")
        assert not any(mount["RW"] for mount in container.attrs["Mounts"])


def test_the_debugger_is_only_for_this_machine(development: Stack, monkeypatch: pytest.MonkeyPatch):
    """Development is published on loopback, whatever PUBLISH_ADDRESS production uses."""
    monkeypatch.setenv("PUBLISH_ADDRESS", "192.0.2.1")
    services = json.loads(development.compose("config --format json"))["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [(port["host_ip"], port["target"]) for port in published] == [("127.0.0.1", 8080)]


def test_it_stops_at_once(development: Stack):
    began = time.monotonic()
    development.compose("stop app")
    assert development.container("app").attrs["State"]["ExitCode"] != 137, "killed"
    assert time.monotonic() - began < 10
    development.start()


@pytest.mark.pairs(PAIRS[:1])
def test_two_commands_without_docker(engine: None, project: Path, save: Save):
    """They use .env, and respond only to localhost's names, because the debugger can run any code.

    They run in a container here, because this machine does not have the project's Python.
    """
    _, install, serve = filter(None, commands(project / "README.md", "Develop").splitlines())
    # No bytecode: the fixture of the containers checks that development leaves no files behind.
    port = free_port()
    settings = {"FLASK_RUN_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}
    (project / ".env").write_text("PROXY_FIX_X_FOR=1\nTRUSTED_HOSTS=www.example.com\n")
    with developer(project, **settings) as machine:
        run([*machine, "bash", "-euc", install], cwd=project)
        process = subprocess.Popen([*machine, "bash", "-c", serve], stdout=subprocess.DEVNULL)
        try:
            wait_for(f"http://127.0.0.1:{port}/", "trusted proxies: 1")
            other = {"Host": "other.example"}
            response = requests.get(f"http://127.0.0.1:{port}/", headers=other, timeout=5)
            assert response.status_code == 400
            save('"saved"', f"http://127.0.0.1:{port}", "saved")
            assert process.poll() is None
        finally:
            process.terminate()
            process.wait(timeout=10)
            (project / ".env").unlink()
