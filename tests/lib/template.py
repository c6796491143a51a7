"""The template: its choices, from cookiecutter.json, and the generation of projects."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[2]
FACTS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
FOLDER = ROOT / "{{cookiecutter.__folder}}"
# Data about each server and proxy that only the tests and the bench use: see CONTRIBUTING.md.
EXPECTATIONS: dict[str, Any] = json.loads(
    (ROOT / "tests" / "expectations.json").read_text(encoding="utf-8")
)

SERVERS: list[str] = FACTS["wsgi_server"]
PROXIES: list[str] = FACTS["proxy"]
PYTHON_VERSIONS: list[str] = FACTS["python_version"]
LICENSES: list[str] = FACTS["license"]
DATABASES = [name for name in FACTS["database"] if name != "none"]
# Optional features of a project, each with the answer that enables it.
OPTIONS = {"database": "postgresql", "metrics": "prometheus", "tracing": "opentelemetry"}


@dataclass(frozen=True)
class Pair:
    """One server with one proxy."""

    server: str
    proxy: str

    def __str__(self) -> str:
        return f"{self.server}-{self.proxy}"


PAIRS = [Pair(server, proxy) for server in SERVERS for proxy in PROXIES]
# Each server once, behind alternating proxies.
EACH_SERVER = [
    Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS)
]


def unused(server: str, setting: str) -> bool:
    """Return whether a common setting has no effect on a server."""
    return setting in EXPECTATIONS["_servers"][server]["unused_settings"]


def has_processes(server: str) -> bool:
    """Return whether a server has worker processes; others run one process per container."""
    return not unused(server, "WEB_CONCURRENCY")


def recycles(server: str) -> bool:
    """Return whether a server replaces worker processes after MAX_REQUESTS."""
    return not unused(server, "MAX_REQUESTS")


def expected_failures(pair: Pair) -> dict[str, str]:
    """Return the tests that a pair cannot pass, each with the reason.

    The test names do not include the pair, such as "test_bodies.py::test_upload_in_chunks[1024]".
    """
    return {
        test: failure["reason"]
        for entry, other in (
            (EXPECTATIONS["_servers"][pair.server], pair.proxy),
            (EXPECTATIONS["_proxies"][pair.proxy], pair.server),
        )
        for failure in entry["expected_failures"]
        if failure["paired_with"] in ("*", other)
        for test in failure["tests"]
    }


def base_images(
    python_versions: list[str], proxies: list[str], databases: Sequence[str] = ()
) -> list[str]:
    """Return the images that the Dockerfiles and compose.yaml name for these choices."""
    images = [f"python:{version}-slim-trixie" for version in python_versions]
    images += [FACTS["_proxies"][proxy]["image"] for proxy in proxies]
    return images + [FACTS["_databases"][database]["image"] for database in databases]


def generate(into: Path, *, overwrite_if_exists: bool = False, **answers: str) -> Path:
    """Generate a project below the folder ``into``, like `cookiecutter --no-input`.

    Returns the project's folder. Raises cookiecutter.exceptions.CookiecutterException when the
    hooks reject the answers.
    """
    into.mkdir(parents=True, exist_ok=True)
    return Path(
        cookiecutter(
            str(ROOT),
            no_input=True,
            output_dir=str(into),
            extra_context=answers,
            overwrite_if_exists=overwrite_if_exists,
            default_config=True,
        )
    )


def template_files() -> Iterator[Path]:
    """Yield the template's files, without files that test runs create."""
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
