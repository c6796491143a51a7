"""An existing project in place of the generated pair: make test PROJECT=../my-service."""

import fnmatch
import functools
import os
import secrets
import shutil
import subprocess
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from .node_ids import names
from .template import FACTS, Pair

# The environment variable with the project's folder. make passes PROJECT=... on to its commands.
VARIABLE = "PROJECT"
CONTRACT = "contract.toml"
# Folders that are never part of a project, where it has no repository.
IGNORED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".env", "secrets")


class ProjectError(Exception):
    """The folder is no project that can be tested; the message says why and what to do."""


@dataclass(frozen=True)
class Different:
    """An entry of contract.toml: tests that fail on this project on purpose."""

    tests: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Existing:
    """An owner's project. Nothing in its folder is changed: the tests use a copy."""

    folder: Path
    name: str
    description: str
    package: str
    pair: Pair
    different: tuple[Different, ...]

    def copy(self, into: Path) -> Path:
        """Copy the project below ``into``, as a fresh clone would be, with new secrets."""
        target = into / "existing"
        if (self.folder / ".git").exists():
            listed = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=True,
            )
            for name in filter(None, listed.stdout.split("\0")):
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                # A file that was deleted and not committed is still listed.
                if os.path.lexists(self.folder / name):
                    shutil.copy2(self.folder / name, place, follow_symlinks=False)
        else:
            shutil.copytree(self.folder, target, symlinks=True, ignore=IGNORED)
        for file in secret_files(target):
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")
            file.chmod(0o644)
        return target

    def expected_failure(self, nodeid: str) -> tuple[str, bool] | None:
        """Return the reason why a test may fail, and whether it must; None if it may not.

        contract.toml has one of its names, or a pattern with *, which may match tests that pass.
        """
        for entry in self.different:
            for pattern in entry.tests:
                if matches(nodeid, pattern):
                    return entry.reason, "*" not in pattern
        return None

    def unknown(self, nodeids: Collection[str]) -> list[str]:
        """Return the names in contract.toml that none of these tests has."""
        patterns = [pattern for entry in self.different for pattern in entry.tests]
        return [
            pattern for pattern in patterns if not any(matches(test, pattern) for test in nodeids)
        ]


def matches(nodeid: str, pattern: str) -> bool:
    """Return whether a name in contract.toml is one of a test's names."""
    # Brackets are part of a test's name, not of the pattern.
    return any(fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")) for name in names(nodeid))


def secret_files(project: Path) -> list[Path]:
    """Return the project's own secret files that compose.yaml names and that do not exist."""
    compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    files = [secret.get("file", "") for secret in compose.get("secrets", {}).values()]
    return [
        project / file for file in files if file.startswith("./") and not (project / file).exists()
    ]


@functools.cache
def existing() -> Existing | None:
    """Return the project that PROJECT names, or None.

    Raises ProjectError if it is none that can be tested.
    """
    if not (name := os.environ.get(VARIABLE)):
        return None
    folder = Path(name).resolve()
    if not (folder / "compose.yaml").is_file():
        raise ProjectError(f"{folder} has no compose.yaml: set PROJECT to the folder of a project")
    abouts = sorted(folder.glob("src/*/about.toml"))
    if len(abouts) != 1:
        raise ProjectError(
            f"{folder} has {len(abouts)} files src/*/about.toml: a generated project has one, which"
            " names its server and its proxy"
        )
    pair = Pair(choice("_servers", "SERVED_BY", abouts[0]), choice("_proxies", "BEHIND", abouts[0]))
    about = read_toml(abouts[0])
    return Existing(
        folder,
        str(about.get("PROJECT_NAME", "")),
        str(about.get("DESCRIPTION", "")),
        abouts[0].parent.name,
        pair,
        read_contract(folder / CONTRACT),
    )


def choice(kind: str, key: str, file: Path) -> str:
    """Return the server or proxy with the title that about.toml has under this key."""
    about = read_toml(file)
    titles = {entry["title"]: name for name, entry in FACTS[kind].items()}
    if about.get(key) not in titles:
        raise ProjectError(f"{key} in {file} must be one of {', '.join(titles)}")
    return titles[about[key]]


def read_contract(file: Path) -> tuple[Different, ...]:
    """Return the entries of contract.toml; none without the file."""
    if not file.exists():
        return ()
    entries = read_toml(file).get("different", [])
    found = []
    for entry in entries if isinstance(entries, list) else [None]:
        tests = entry.get("tests") if isinstance(entry, dict) else None
        if (
            not isinstance(tests, list)
            or not tests
            or not all(isinstance(test, str) for test in tests)
            or not isinstance(entry.get("reason"), str)
            or not entry["reason"].strip()
        ):
            raise ProjectError(
                f"each [[different]] in {file} needs tests, a list of names, and a reason"
            )
        found.append(Different(tuple(tests), entry["reason"]))
    return tuple(found)


def read_toml(file: Path) -> dict[str, object]:
    """Read a TOML file; raises ProjectError if it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} is no valid TOML: {error}") from error
