"""The template: its choices, from cookiecutter.json, and the generation of projects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[2]
FACTS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
FOLDER = ROOT / "{{cookiecutter.__folder}}"

SERVERS: list[str] = FACTS["wsgi_server"]
PROXIES: list[str] = FACTS["proxy"]
PYTHON_VERSIONS: list[str] = FACTS["python_version"]
LICENSES: list[str] = FACTS["license"]
# What a project may have or not have, each with the answer that takes it.
OPTIONS = {"metrics": "prometheus", "tracing": "opentelemetry"}


@dataclass(frozen=True)
class Pair:
    """One server with one proxy."""

    server: str
    proxy: str

    def __str__(self) -> str:
        return f"{self.server}-{self.proxy}"


PAIRS = [Pair(server, proxy) for server in SERVERS for proxy in PROXIES]


def has_processes(server: str) -> bool:
    """Say whether a server has worker processes; the others run one process a container."""
    return not FACTS["_servers"][server]["processes"].startswith("not used")


def recycles(server: str) -> bool:
    """Say whether a server replaces worker processes after MAX_REQUESTS."""
    return not FACTS["_servers"][server]["recycling"].startswith("not used")


def known_limits(pair: Pair) -> dict[str, str]:
    """Return the tests that a pair cannot pass, each with the reason.

    A test is named without its pair, such as "test_bodies.py::test_upload_in_chunks[1024]".
    """
    return {
        test: limit["reason"]
        for entry, other in (
            (FACTS["_servers"][pair.server], pair.proxy),
            (FACTS["_proxies"][pair.proxy], pair.server),
        )
        for limit in entry["known_limits"]
        if limit["paired_with"] in ("*", other)
        for test in limit["tests"]
    }


def base_images(python_versions: list[str], proxies: list[str]) -> list[str]:
    """Return the images that the Dockerfiles of these choices start from."""
    pythons = [f"python:{version}-slim-trixie" for version in python_versions]
    return pythons + [FACTS["_proxies"][proxy]["image"] for proxy in proxies]


def generate(into: Path, *, overwrite_if_exists: bool = False, **answers: str) -> Path:
    """Generate a project below the folder ``into``, as `cookiecutter --no-input` does.

    Returns the project's folder. Raises cookiecutter.exceptions.CookiecutterException when the
    hooks refuse the answers.
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
    """Yield the template's own files, without what running the tests leaves beside them."""
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
