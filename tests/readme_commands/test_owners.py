"""docs/extending.md: its additions, made to a project as the page says, and used."""

import json
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml

from tests.lib.development import developer
from tests.lib.readme import blocks, run_page, run_readme, run_shell
from tests.lib.stack import Stack, run, run_stack, wait_until
from tests.lib.template import FACTS, PROXIES, PYTHON_VERSIONS, ROOT, SERVERS, Pair, generate

PAGE = ROOT / "docs" / "extending.md"
PACKAGE = "my_flask_service"
# One server that needs no Debian package at runtime, and the only one that does.
(WITH_PACKAGES,) = [name for name in SERVERS if FACTS["_servers"][name]["debian_packages"]["run"]]
PAIRS = [Pair(SERVERS[0], PROXIES[0]), Pair(WITH_PACKAGES, PROXIES[1])]

PYTHON_IMAGE = f"python:{PYTHON_VERSIONS[0]}-slim-trixie"
BROKER = Path(__file__).parent / "broker"
DEPENDENCIES = ["celery[redis]", "company-greetings", "psycopg2", "rq", "sentry-sdk[flask]"]

# Replaces the front page.
VIEWS = '''"""Notes: what an application may use."""

import os
import sqlite3
import subprocess
from pathlib import Path

import company_greetings
import psycopg2.extensions
from flask import Blueprint, current_app, request

from . import jobs, tasks

blueprint = Blueprint("notes", __name__)


def database() -> sqlite3.Connection:
    """Open the file that lasts."""
    connection = sqlite3.connect(Path(current_app.instance_path) / "notes.db")
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")
    return connection


@blueprint.get("/notes")
def notes() -> list[str]:
    """Return what was noted."""
    with database() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]


@blueprint.post("/notes")
def note() -> str:
    """Note the text of a request."""
    with database() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", [request.get_data(as_text=True)])
    return "noted"


def add(text: str) -> None:
    """Note a text, as a job."""
    with database() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", [text])


@blueprint.post("/jobs")
def job() -> str:
    """Have both workers note the text of a request."""
    text = request.get_data(as_text=True)
    jobs.queue.enqueue(add, f"{text} by RQ")
    tasks.note.delay(f"{text} by Celery")
    return "queued"


@blueprint.get("/broken")
def broken() -> str:
    """Raise an exception."""
    raise RuntimeError("reported to Sentry")


@blueprint.cli.command("clear")
def clear() -> None:
    """Delete all notes."""
    with database() as connection:
        connection.execute("DELETE FROM notes")


@blueprint.get("/greeting")
def greeting() -> str:
    """Greet, with a setting and a secret."""
    token = Path("/run/secrets/api_token").read_text(encoding="utf-8")
    return company_greetings.greet(os.environ["GREETING"]) + token


@blueprint.get("/libraries")
def libraries() -> dict[str, str | int]:
    """Use a library that Python's package links to, and a program with its data."""
    icon = Path(current_app.static_folder or "") / "icon.svg"
    program = ["file", "--brief", "--mime-type", icon]
    return {
        "libpq": psycopg2.extensions.libpq_version(),
        "file": subprocess.check_output(program, text=True).strip(),  # noqa: S603
    }
'''
# A task without application context, appended to the page's module.
TASK = '''

@celery.task
def note(text: str) -> None:
    """Say a text."""
    logging.getLogger(__name__).warning("%s", text)
'''
# Replaces Sentry: it prints the requests that it gets.
SENTRY = """
import gzip
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        print((gzip.decompress(body) if zipped else body).decode(errors="replace"), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

HTTPServer(("", 9000), Handler).serve_forever()
"""
LIBRARY = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "company-greetings"
        version = "1.0"
    """,
    "company_greetings.py": """
        def greet(word: str) -> str:
            return f"{word}, colleague"
    """,
}


def merged(into: Any, more: Any) -> Any:
    """Return a compose file merged with another: mappings and lists are extended."""
    if isinstance(into, dict) and isinstance(more, dict):
        added = {
            name: merged(into[name], more[name]) if name in into else more[name] for name in more
        }
        return into | added
    return into + more if isinstance(into, list) else more


def add_to_compose(project: Path, heading: str) -> None:
    """Add the page's blocks under a heading to compose.yaml."""
    file = project / "compose.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for block in blocks(PAGE, "yaml", heading):
        content = merged(content, yaml.safe_load(block))
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def change(file: Path, old: str, new: str) -> None:
    """Replace a text that occurs once in a file."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new), encoding="utf-8")


def add_debian_packages(project: Path) -> None:
    (block,) = blocks(PAGE, "dockerfile", "Debian packages")
    for line in block.splitlines():
        change(project / "Dockerfile", f'{line.partition("=")[0]}=""', line)


def add_private_package(project: Path, repository: Path) -> None:
    """Build a wheel from a local git repository, which replaces the private one."""
    for name, text in LIBRARY.items():
        (repository / name).write_text(textwrap.dedent(text), encoding="utf-8")
    git = ["git", "-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
    run([*git, "init", "--quiet"], cwd=repository)
    run([*git, "add", "--all"], cwd=repository)
    run([*git, "commit", "--quiet", "--message=1.0"], cwd=repository)
    run([*git, "tag", "v1.0"], cwd=repository)
    (command,) = blocks(PAGE, "shell", "A private package")
    assert re.search(r"git\+ssh://\S+@v1\.0$", command)
    command = re.sub(r"git\+ssh://\S+@", f"git+file://{repository}@", command)
    with developer(project) as machine:
        run_readme(project, "python3 -m venv .venv\n", within=machine)
        run_shell(command, project, within=machine)
    (settings,) = blocks(PAGE, "toml", "A private package")
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{settings}")
    (copy,) = blocks(PAGE, "dockerfile", "A private package")
    change(
        project / "Dockerfile",
        "\nCOPY requirements.txt ./\n",
        f"\nCOPY requirements.txt ./\n{copy}",
    )
    (exception,) = blocks(PAGE, "text", "A private package")
    with (project / ".dockerignore").open("a", encoding="utf-8") as file:
        file.write(exception)


def add_workers(project: Path) -> None:
    """Add both kinds of background jobs, with a broker whose image is built here."""
    package = project / "src" / PACKAGE
    for heading, module in (
        ("Background jobs", "jobs.py"),
        ("Background jobs with Celery", "tasks.py"),
    ):
        (text,) = blocks(PAGE, "python", heading)
        (package / module).write_text(text, encoding="utf-8")
        add_to_compose(project, heading)
    tasks = package / "tasks.py"
    change(tasks, "import os\n", "import logging\nimport os\n")
    tasks.write_text(tasks.read_text(encoding="utf-8") + TASK, encoding="utf-8")
    file = project / "compose.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    broker = content["services"]["broker"]
    assert broker.pop("image").startswith("valkey/")
    broker["build"] = {"context": str(BROKER), "args": {"PYTHON_IMAGE": PYTHON_IMAGE}}
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def add_sentry(project: Path) -> None:
    """Begin create_app() as the page shows, and run a replacement of Sentry."""
    (line,) = blocks(PAGE, "python", "Sentry")
    init = project / "src" / PACKAGE / "__init__.py"
    change(init, "from flask import Flask\n", "import sentry_sdk\nfrom flask import Flask\n")
    change(
        init,
        "    settings = config.from_environment(environ)\n",
        f"{line}    settings = config.from_environment(environ)\n",
    )
    file = project / "compose.yaml"
    sentry = {"image": PYTHON_IMAGE, "command": ["python", "-c", SENTRY.replace("$", "$$")]}
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    app = {"environment": {"SENTRY_DSN": "http://key@sentry:9000/1"}}
    content = merged(content, {"services": {"app": app, "sentry": sentry}})
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def add_views(project: Path) -> None:
    """Replace the front page by other views, and pin their dependencies."""
    package = project / "src" / PACKAGE
    (package / "notes.py").write_text(VIEWS, encoding="utf-8")
    (project / "tests" / "unit" / "test_pages.py").unlink()
    change(package / "__init__.py", "health, logs, pages", "health, jobs, logs, notes")
    register = "app.register_blueprint({}.blueprint)"
    change(
        package / "__init__.py",
        register.format("pages"),
        f"{register.format('notes')}\n    {register.format('jobs')}",
    )
    change(
        project / "pyproject.toml",
        "\ndependencies = [\n",
        "\ndependencies = [\n" + "".join(f'    "{name}",\n' for name in DEPENDENCIES),
    )
    run_readme(project, "python3 lock.py")


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def stack(
    engine: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Yield a running project with all additions of the page."""
    pair = request.param
    # In the project's folder, which is mounted in the container of the developer's machine.
    folder = tmp_path_factory.mktemp("owned")
    project = generate(
        folder,
        project_slug=f"owned-{pair}-{os.getpid()}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
    )
    repository = project / ".repository"
    repository.mkdir()
    add_private_package(project, repository)
    add_debian_packages(project)
    add_workers(project)
    add_sentry(project)
    add_views(project)
    for heading in ("Environment variables and secrets", "Files that last"):
        add_to_compose(project, heading)
    (project / "secrets" / "api_token").write_text("!", encoding="utf-8")
    (project / "secrets" / "api_token").chmod(0o644)
    (project / ".env").write_text("GREETING=Hello\n", encoding="utf-8")
    # The project name of compose.yaml, so that the page's commands work unchanged.
    with run_stack(pair, project, project.name) as stack:
        yield stack


def get(stack: Stack, path: str) -> requests.Response:
    """Send a request until the proxy has found the new container's address."""
    return wait_until(lambda: (r := stack.get(path)).status_code != 502 and [r], timeout=10)[0]


def packages_are_there(stack: Stack) -> None:
    found = get(stack, "/libraries").json()
    assert found["libpq"] > 150000
    assert found["file"] == "image/svg+xml"


def setting_secret_and_private_package_are_there(stack: Stack) -> None:
    assert get(stack, "/greeting").text == "Hello, colleague!"


def files_last(stack: Stack) -> None:
    note = uuid4().hex
    assert get(stack, "/notes").ok
    stack.request("POST", "/notes", data=note)
    stack.compose("up --wait --force-recreate app")
    assert note in get(stack, "/notes").json()


def commands_run(stack: Stack) -> None:
    """Check that commands run in the application's container and in a separate one."""
    assert run_readme(stack.folder, "docker compose exec app flask routes").count("/notes") == 4
    beside = run_page(PAGE, "docker compose exec app flask routes", stack.folder)
    apart = run_page(PAGE, "docker compose run --rm app flask routes", stack.folder)
    assert "notes.notes" in beside and "notes.notes" in apart
    for way in ("exec", "run --rm"):
        assert get(stack, "/notes").ok
        stack.request("POST", "/notes", data=f"cleared by {way}")
        run_shell(f"docker compose {way} app flask notes clear", stack.folder)
        assert get(stack, "/notes").json() == []


def workers_work(stack: Stack) -> None:
    """Check that workers are healthy, log JSON lines, and exit with status 0."""
    text = uuid4().hex
    assert get(stack, "/notes").ok
    assert stack.request("POST", "/jobs", data=text).ok
    wait_until(lambda: f"{text} by RQ" in get(stack, "/notes").json(), timeout=20)
    stack.wait_for_log("celery", f"{text} by Celery")
    for service in ("worker", "celery"):
        container = stack.container(service)
        assert container.attrs["State"]["Health"]["Status"] == "healthy"
        lines = container.logs().decode().splitlines()
        assert all(json.loads(line)["message"] for line in lines)
        stack.compose(f"stop {service}")
        assert stack.container(service).attrs["State"]["ExitCode"] == 0
    stack.compose("up --wait --no-build")


def errors_are_reported(stack: Stack) -> None:
    """Check that the replacement of Sentry gets the error."""
    assert get(stack, "/broken").status_code == 500
    stack.wait_for_log("sentry", "reported to Sentry")


ABILITIES = [
    packages_are_there,
    setting_secret_and_private_package_are_there,
    files_last,
    commands_run,
    workers_work,
    errors_are_reported,
]


@pytest.mark.parametrize("ability", ABILITIES, ids=lambda ability: ability.__name__)
def test_added_as_the_page_says(stack: Stack, ability: Callable[[Stack], None]):
    ability(stack)


def test_worker_without_its_broker_is_unhealthy(stack: Stack):
    worker = stack.container("worker")
    check = worker.attrs["Config"]["Healthcheck"]["Test"][1:]
    assert worker.exec_run(check).exit_code == 0
    stack.compose("stop broker")
    try:
        assert worker.exec_run(check).exit_code != 0
    finally:
        stack.compose("start broker")
    # Do not use "up --wait": it fails at once if the engine has marked the worker unhealthy.
    wait_until(
        lambda: stack.container("worker").attrs["State"]["Health"]["Status"] == "healthy",
        timeout=60,
    )


def test_unit_tests(stack: Stack):
    """The unit tests pass without the front page, with the image's packages installed."""
    stack.compose("run --build --rm test python -m pytest")


def test_in_the_minimal_image(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    """All additions work in the minimal image, if the server supports it."""
    if FACTS["_servers"][stack.pair.server]["debian_packages"]["run"]:
        return
    monkeypatch.setenv("APP_BASE", "minimal")
    stack.compose("up --build --wait")
    assert stack.container("app").exec_run(["sh"]).exit_code in (126, 127)
    for ability in ABILITIES:
        ability(stack)
