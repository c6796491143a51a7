"""The first week of a project, with the commands of its README."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.lib.development import developer, saving, seconds_until_saved_counts
from tests.lib.readme import run_readme
from tests.lib.stack import run, wait_until
from tests.lib.template import OPTIONS, PROXIES, SERVERS, Pair, generate

# Three different servers, and each proxy.
WEEKS = [Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS[::3])]
PACKAGE = "weekly"

ROUTE = '''"""How often somebody came."""

import humanize
from flask import Blueprint, session

blueprint = Blueprint("visits", __name__)


@blueprint.get("/visits")
def visits() -> str:
    """Count in the visitor's own cookie."""
    session.permanent = True
    session["visits"] = session.get("visits", 0) + 1
    return humanize.ordinal(session["visits"])
'''
ROUTE_TEST = """def test_visits_are_counted(client):
    assert [client.get("/visits").text for _ in range(3)] == ["1st", "2nd", "3rd"]
"""


def replace(file: Path, pattern: str, new: str | Callable[[re.Match], str]) -> None:
    """Replace the only match of a pattern in a file."""
    text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1, (file, pattern)
    file.write_text(text, encoding="utf-8")


def pins(file: Path) -> set[str]:
    """Return the pins of a lock."""
    return set(re.findall(r"^\S+==\S+", file.read_text(encoding="utf-8"), re.MULTILINE))


def add_route(project: Path) -> None:
    """Add a page that needs the new dependency, and its test."""
    package = project / "src" / PACKAGE
    (package / "visits.py").write_text(ROUTE, encoding="utf-8")
    (project / "tests" / "unit" / "test_visits.py").write_text(ROUTE_TEST, encoding="utf-8")
    replace(
        package / "__init__.py",
        r"^from \. import (.*)$",
        lambda names: "from . import " + ", ".join(sorted([*names[1].split(", "), "visits"])),
    )
    replace(
        package / "__init__.py",
        r"^    return app$",
        "    app.register_blueprint(visits.blueprint)\n    return app",
    )


@contextmanager
def running(project: Path) -> Iterator[None]:
    """Print the logs at the end, and remove the project's containers and images."""
    try:
        yield
    finally:
        print(run_readme(project, "docker compose logs"))
        run_readme(project, "docker compose down")
        run(
            ["docker", "compose", "--profile", "test", "down", "--volumes", "--rmi", "local"],
            cwd=project,
        )


def work_without_containers(project: Path, url: str) -> None:
    """Test, lint and commit on a developer's machine."""
    with developer(project, with_docker=True, BASE_URL=url) as machine:
        run_readme(project, "python3 -m venv .venv\n", within=machine)
        run_readme(project, ".venv/bin/pytest tests/smoke", within=machine)
        checks = run_readme(project, "git init --initial-branch main\n", within=machine)
        assert "mypy" in checks
        assert "Failed" not in checks
        # From now on, git runs the checks and rejects commits with findings.
        (project / "src" / PACKAGE / "wrong.py").write_text("def f(x): return x\n")
        run([*machine, "git", "add", "--all"], cwd=project)
        author = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
        commit = ["git", *author, "commit", "--quiet", "--message=Start"]
        with pytest.raises(AssertionError, match="Function is missing a type annotation"):
            run([*machine, *commit], cwd=project)
        (project / "src" / PACKAGE / "wrong.py").unlink()
        run([*machine, "git", "add", "--all"], cwd=project)
        run([*machine, *commit], cwd=project)


@pytest.mark.parametrize("pair", WEEKS, ids=str)
def test_first_week(engine: None, pair: Pair, tmp_path: Path, record_property):
    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        record_property(f"{name}, seconds", round(time.monotonic() - began, 1))

    with step("generate"):
        project = generate(
            tmp_path,
            project_slug=f"week-{pair}-{os.getpid()}".replace("_", "-"),
            package_name=PACKAGE,
            wsgi_server=pair.server,
            proxy=pair.proxy,
            deploy_to="all",
            **OPTIONS,
        )
    with running(project):
        with step("build and start"):
            run_readme(project, "docker compose up --build --wait")

        def url(scheme: str = "http", port: int = 8080) -> str:
            address = run(["docker", "compose", "port", "proxy", str(port)], cwd=project)
            return f"{scheme}://{address.strip()}"

        assert requests.get(url(), timeout=15).status_code == 200

        if pair == WEEKS[0]:  # independent of the server
            with step("test, lint and commit without containers"):
                work_without_containers(project, url())

        with step("start to develop"):
            run_readme(project, "docker compose -f compose.yaml -f compose.dev.yaml up")
        with step("change a module five times"), saving(project) as save:
            record_property("save to response, seconds", seconds_until_saved_counts(save, url()))

        with step("add a route and a dependency"):
            locks = [*project.glob("requirements*.txt"), project / "server" / "requirements.txt"]
            before = {lock: pins(lock) for lock in locks}
            add_route(project)
            run_readme(project, "python3 lock.py humanize")
            added = {
                lock.name: pins(lock) - before[lock] for lock in locks if lock.parent == project
            }
            assert [name.partition("==")[0] for name in added["requirements.txt"]] == ["humanize"]
            assert not any(before[lock] - pins(lock) for lock in locks), "other pins changed"
        with step("unit tests"):
            run_readme(project, "docker compose run --build --rm test")
        with step("build and start again"):
            run_readme(project, "docker compose up --build --wait")

        assert requests.get(f"{url()}/visits", timeout=15).text == "1st"

        with step("turn HTTPS on"):
            run_readme(project, "mkdir -p secrets/tls")
            # As on a server, so that the commands below use both files too.
            (project / ".env").write_text("COMPOSE_FILE=compose.yaml:compose.tls.yaml\n")
        led = requests.get(url(), timeout=15, allow_redirects=False)
        assert led.headers["Location"].startswith("https://")

        def visit(cookie: str | None = None) -> tuple[str, str]:
            """Return the page's text and the cookie that it sets."""
            cookies = {"session": cookie} if cookie else None
            certificate = str(project / "secrets" / "tls" / "fullchain.pem")

            def ask() -> requests.Response | None:
                # For a moment, the proxy still uses the address of the replaced container.
                response = requests.get(
                    f"{url('https', 8443)}/visits", cookies=cookies, verify=certificate, timeout=15
                )
                return response if response.ok else None

            response = wait_until(ask, timeout=20)
            return response.text, response.cookies["session"]

        said, signed_by_first = visit()
        assert said == "1st"
        with step("change the signing key"):
            run_readme(
                project, 'python3 -c "import secrets; print(secrets.token_urlsafe(32))" | cat'
            )
        # The session is still valid, and the new cookie is signed with the new key.
        said, signed_by_second = visit(signed_by_first)
        assert said == "2nd"
        with step("drop the former key"):
            run_readme(project, "head -n 1 secrets/secret_key")
        assert visit(signed_by_second)[0] == "3rd"
        assert visit(signed_by_first)[0] == "1st", "the removed key's signature is still valid"
        run_readme(project, "docker compose stop")
