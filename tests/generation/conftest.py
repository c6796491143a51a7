"""All projects that the template can generate, each generated once."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.lib.template import OPTIONS, PAIRS, PYTHON_VERSIONS, ROOT, Pair, generate


@dataclass(frozen=True)
class Project:
    """A generated project and the choices that it was generated from."""

    pair: Pair
    python_version: str
    target: str
    ci: str
    options: dict[str, str]
    path: Path

    def files(self) -> dict[str, Path]:
        """Return the project's files by their names below its folder."""
        return {
            path.relative_to(self.path).as_posix(): path
            for path in sorted(self.path.rglob("*"))
            if path.is_file()
        }


CHOICES = list(itertools.product(PAIRS, PYTHON_VERSIONS))


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Pair, str], Project]:
    """Return a function that generates the project of a pair and Python version, cached."""
    folder = tmp_path_factory.mktemp("projects")

    @cache
    def make(pair: Pair, python_version: str) -> Project:
        into = folder / f"{pair}-{python_version}"
        # The newest Python: no deployment target, GitHub, no options. The others: all targets, no
        # CI service, all options.
        plain = python_version == PYTHON_VERSIONS[0]
        target, ci = ("none", "github") if plain else ("all", "none")
        path = generate(
            into,
            wsgi_server=pair.server,
            proxy=pair.proxy,
            python_version=python_version,
            deploy_to=target,
            ci=ci,
            **{} if plain else OPTIONS,
        )
        return Project(pair, python_version, target, ci, {} if plain else OPTIONS, path)

    return make


@pytest.fixture(scope="session", params=CHOICES, ids=lambda choices: "-".join(map(str, choices)))
def project(request: pytest.FixtureRequest, make_project: Callable[..., Project]) -> Project:
    """Return each project in turn."""
    return make_project(*request.param)


@pytest.fixture(scope="session")
def projects(make_project: Callable[..., Project]) -> list[Project]:
    """Return all projects, for tools that start slowly and read many files at once."""
    return [make_project(*choices) for choices in CHOICES]


def run_tool(name: str, *arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run a tool of this environment; fail with its output when it finds a problem."""
    # Tools call each other, and the environment may not be activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which(name, path=path)
    assert program, f"{name} is not installed: it is in pyproject.toml's group of test tools"
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{name}:\n{done.stdout}{done.stderr}", pytrace=False)
