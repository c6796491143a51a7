"""Linters find no problems in generated projects and in this repository."""

import re
from pathlib import Path

import pytest

from tests.lib.template import PROXIES, ROOT, SERVERS, generate

from .conftest import Project, run_tool


@pytest.fixture(scope="module")
def folders(projects: list[Project], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return all projects, and one per server with the longest names, which make long lines."""
    longest = tmp_path_factory.mktemp("longest")
    return [project.path for project in projects] + [
        generate(
            longest / server,
            project_slug="p" * 40,
            wsgi_server=server,
            proxy=PROXIES[number % len(PROXIES)],
        )
        for number, server in enumerate(SERVERS)
    ]


def test_ruff(folders: list[Path]):
    # Each file is checked with the settings of its own project.
    run_tool("ruff", "check", "--no-cache", "--output-format=concise", *folders)
    run_tool("ruff", "format", "--check", "--no-cache", *folders)


def test_hadolint(folders: list[Path]):
    run_tool("hadolint", *(folder / "Dockerfile" for folder in folders))


def test_gixy(folders: list[Path], tmp_path: Path):
    """Templates of configurations are filled in first, as the image's entry point does."""
    texts = {file.read_text() for folder in folders for file in folder.rglob("*.conf.template")}
    assert texts
    for text in texts:
        text = re.sub(r"\$\{\w*UPSTREAM\}", "app:8000", text)
        text = re.sub(r"\$\{\w*RESOLVERS\}", "127.0.0.11", text)
        # gixy does not support possessive quantifiers, like Python before 3.11.
        text = re.sub(r"([*+?}])\+", r"\1", text)
        (tmp_path / "proxy.conf").write_text(re.sub(r"\$\{[A-Z_]+\}", "30", text))
        # try_files costs one file system check per static file. This is intended.
        run_tool(
            "gixy", "--disable-includes", "--skips=try_files_is_evil_too", tmp_path / "proxy.conf"
        )


def test_yamllint(folders: list[Path]):
    # Elastic Beanstalk's YAML files have the suffix .config.
    kinds = ("*.yaml", "*.yml", "*.config")
    files = [file for folder in folders for kind in kinds for file in folder.rglob(kind)]
    run_tool("yamllint", "--strict", "--config-file", ROOT / ".yamllint", *files)


def test_pre_commit(folders: list[Path]):
    run_tool("pre-commit", "validate-config", *(f / ".pre-commit-config.yaml" for f in folders))


def test_compose_schema(folders: list[Path], tmp_path: Path):
    files = []
    for number, file in enumerate(file for each in folders for file in each.glob("compose*.yaml")):
        # The schema describes single files, without compose's merge tags.
        text = file.read_text(encoding="utf-8").replace(" !override", "")
        files.append(tmp_path / f"{number}-{file.name}")
        files[-1].write_text(text, encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)


def test_shellcheck(folders: list[Path]):
    files = [file for folder in folders for file in folder.rglob("*") if is_shell_script(file)]
    assert files
    run_tool("shellcheck", *files)


def is_shell_script(file: Path) -> bool:
    """Return whether a file is a shell script, by its name or its first line."""
    if not file.is_file():
        return False
    first, *_ = file.read_bytes().split(b"\n", 1)
    return file.suffix in (".sh", ".envsh") or (first.startswith(b"#!") and first.endswith(b"sh"))


def test_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The pre-commit hooks pass on all tracked files."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path))
    run_tool("pre-commit", "run", "--all-files")


def test_duplicate_code():
    """There is no duplicate code; too slow for a pre-commit hook."""
    run_tool("pylint", "--disable=all", "--enable=duplicate-code", "hooks", "tests", "tools")
