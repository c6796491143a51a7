"""compose.dev.yaml, and the two commands without Docker: what is saved counts, errors are shown."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.harness.readme import commands
from tests.harness.stack import Stack, run, run_stack, wait_until
from tests.harness.template import PROXIES, SERVERS, Pair

Record = Callable[[str, object], None]

# Flask's own server runs in the image of each; two that stop by other signals, or are compiled.
PAIRS = [Pair(SERVERS[2], PROXIES[0]), Pair(SERVERS[3], PROXIES[1])]
VIEW = """

@blueprint.get("/saved")
def saved() -> str:
    return {}
"""


@pytest.fixture(scope="module")
def development(engine: None, pair: Pair, project: Path) -> Iterator[Stack]:
    """The pair as it is developed."""
    up, *_ = commands(project / "README.md", "Develop").splitlines()
    assert up.startswith("docker compose -f compose.yaml -f compose.dev.yaml up --build")
    name = f"{project.name}-{os.getpid()}-dev"
    before = files(project)
    with run_stack(pair, project, name, project / "compose.dev.yaml") as stack:
        yield stack
    assert files(project) == before, "development leaves nothing behind"


def files(project: Path) -> set[Path]:
    """Return the files and folders of a project, without those of tests that ran before."""
    return {path for path in project.rglob("*") if ".venv" not in path.parts}


Save = Callable[[str, str, str], requests.Response]


@pytest.fixture(scope="module")
def save(project: Path) -> Iterator[Save]:
    """Save a view that returns an expression, and ask for it until its answer has a text in it.

    Saved once more where nothing comes: the reloader misses what is saved while it starts again.
    After all tests the module is as it was.
    """
    module = next(project.glob("src/*/pages.py"))
    text = module.read_text(encoding="utf-8")

    def save(result: str, url: str, expected: str) -> requests.Response:
        for _ in range(4):
            module.write_text(text + VIEW.format(result), encoding="utf-8")
            with suppress(AssertionError):
                return wait_for(f"{url}/saved", expected, timeout=4)
        return wait_for(f"{url}/saved", expected, timeout=0)

    yield save
    module.write_text(text, encoding="utf-8")


def wait_for(url: str, text: str, *, timeout: float = 15) -> requests.Response:
    """Ask until the answer has this in it, and return it."""
    told = "nothing"

    def found() -> list[requests.Response]:
        nonlocal told
        try:
            answer = requests.get(url, timeout=5)
        except requests.RequestException as error:  # cut off by the start
            told = str(error)
            return []
        told = f"{answer.status_code} {answer.text}"
        # In a list, since an answer that is an error counts as false.
        return [answer] if text in answer.text else []

    return wait_until(found, timeout=timeout, told=lambda: f"{text!r} at {url}; the last: {told}")[
        0
    ]


def test_saved_module_counts_soon(development: Stack, save: Save, record_property: Record):
    took = []
    for number in range(3):
        began = time.monotonic()
        save(f'"saved {number}"', development.url, f"saved {number}")
        took.append(round(time.monotonic() - began, 2))
    # Half a second on a quiet machine, which this one need not be; so what is held is that nothing
    # waits for its next look at the files.
    record_property("reload_seconds", min(took))
    assert "Restarting with watchdog" in development.container("app").logs().decode()


def test_saved_template_and_static_file_count_at_once(development: Stack, project: Path):
    for name, path in (("templates/index.html", "/"), ("static/style.css", "/static/style.css")):
        (file,) = project.glob(f"src/*/{name}")
        text = file.read_text(encoding="utf-8")
        first = development.get(path)
        file.write_text(text + "<!-- saved -->", encoding="utf-8")
        try:
            answer = development.get(path, headers={"If-None-Match": first.headers.get("ETag", "")})
            assert answer.status_code == 200
            assert "<!-- saved -->" in answer.text
        finally:
            file.write_text(text, encoding="utf-8")
    assert answer.headers["Server"] == first.headers["Server"]
    assert "X-Request-ID" in answer.headers


def test_broken_module_is_shown_and_mended(development: Stack, save: Save):
    answer = save("(", development.url, "SyntaxError")
    assert answer.status_code == 500
    assert "Werkzeug Debugger" in answer.text
    assert save('"mended"', development.url, "mended").status_code == 200


def test_the_debugger_runs_code_for_those_who_know_its_pin(development: Stack, save: Save):
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


def test_containers_may_do_no_more_than_in_production(development: Stack):
    for container in development.containers():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert container.attrs["Config"]["User"] not in ("", "0", "root")
        assert not any(mount["RW"] for mount in container.attrs["Mounts"])


def test_it_stops_at_once(development: Stack):
    began = time.monotonic()
    development.compose("stop app")
    assert development.container("app").attrs["State"]["ExitCode"] != 137, "killed"
    assert time.monotonic() - began < 10
    development.start()


@pytest.mark.pairs(PAIRS[:1])
def test_two_commands_without_docker(
    project: Path, save: Save, monkeypatch: pytest.MonkeyPatch, free_port: int
):
    _, install, serve = filter(None, commands(project / "README.md", "Develop").splitlines())
    run(["bash", "-euc", install], cwd=project)
    monkeypatch.setenv("FLASK_RUN_PORT", str(free_port))
    process = subprocess.Popen(
        ["bash", "-c", serve], cwd=project, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{free_port}/", "What the application sees")
        save('"saved"', f"http://127.0.0.1:{free_port}", "saved")
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
