"""The pinned requirements, and package names that would hide an installed package."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lib.locks import pins as blocks
from tests.lib.template import FACTS, FOLDER, OPTIONS, PAIRS, PYTHON_VERSIONS, SERVERS, generate

from .contexts import environment, rendered_answers

SHARED = [FOLDER / "requirements.txt", FOLDER / "requirements-dev.txt"]
OWN = {
    server: FOLDER / "variants" / "wsgi_server" / server / "server" / "requirements.txt"
    for server in SERVERS
}
LOCKS = [*SHARED, *OWN.values()]
RESERVED = FACTS["_reserved_package_names"]
OWN_RESERVED = {server: FACTS["_servers"][server]["reserved_package_names"] for server in SERVERS}

# Import names that are not the package's own name.
IMPORT_NAMES = {
    "dnspython": "dns",
    "googleapis-common-protos": "google",
    "protobuf": "google",
    "python-dotenv": "dotenv",
    "python-json-logger": "pythonjsonlogger",
    "pyyaml": "yaml",
}


def rendered(file: Path, **answers: str) -> str:
    """Return a file of the template, rendered with these answers."""
    context = rendered_answers(**answers)
    source = environment(context).from_string(file.read_text(encoding="utf-8"))
    return source.render(cookiecutter=context)


@cache
def pins(lock: Path) -> dict[str, Requirement]:
    """Return the requirements that a lock pins, including those of all options, by name."""
    text = rendered(lock, **OPTIONS)
    text = re.sub(r"(?m)#.*$", "", text).replace("\\\n", " ")
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        requirement, *hashes = line.split(" --hash=")
        assert hashes, f"{line} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash_.strip()) for hash_ in hashes)
        pin = Requirement(requirement)
        found[canonicalize_name(pin.name)] = pin
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(FOLDER)))
def test_comments_name_the_project(lock):
    """They have the name that uv found when it locked: the project's, not that of `make locks`."""
    text = rendered(lock, project_slug="shop")
    assert set(re.findall(r"[\w-]+(?= \(pyproject\.toml)", text)) == {"shop"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(FOLDER)))
def test_every_pin_is_exact_and_comes_from_any_index(lock):
    assert pins(lock)
    for pin in pins(lock).values():
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "*" not in specifier.version
        assert pin.url is None
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"(?m)^\s*--?(?!hash=)\w", text), "a pip option, such as an index"


def wanted(requirements: list[str]) -> set[str]:
    """Return the canonical names of some requirements."""
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


@pytest.mark.parametrize("server", SERVERS)
def test_the_locks_contain_the_dependencies(server):
    pyproject = tomllib.loads(rendered(FOLDER / "pyproject.toml", wsgi_server=server, **OPTIONS))
    groups = pyproject["dependency-groups"]
    asked = [pyproject["project"]["dependencies"], groups["dev"], groups["server"]]
    locks = [*SHARED, OWN[server]]
    for requirements, lock in zip(asked, locks, strict=True):
        assert wanted(requirements) <= set(pins(lock))
        for requirement in map(Requirement, requirements):
            (specifier,) = pins(lock)[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(specifier.version)


@pytest.mark.parametrize("server", SERVERS)
def test_locks_agree_on_versions(server):
    """No package has different versions in two locks: pip rejects that."""
    found: dict[str, str] = {}
    for lock in [*SHARED, OWN[server]]:
        for name, pin in pins(lock).items():
            assert found.setdefault(name, str(pin.specifier)) == str(pin.specifier), name


def test_packages_of_an_option_are_only_installed_with_it():
    plain = rendered(SHARED[0])
    for question, answer in OPTIONS.items():
        text = rendered(SHARED[0], **{question: answer})
        assert blocks(plain).keys() < blocks(text).keys()


@pytest.mark.parametrize("names", [RESERVED, *OWN_RESERVED.values()], ids=["all", *SERVERS])
def test_reserved_names_are_sorted_and_lower_case(names):
    assert sorted(set(names)) == names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize(
    ("locks", "reserved"),
    [
        (SHARED, RESERVED),
        *(([OWN[server]], [*RESERVED, *OWN_RESERVED[server]]) for server in SERVERS),
    ],
    ids=["shared", *SERVERS],
)
def test_no_package_can_hide_a_dependency(locks, reserved):
    """The import names of installed packages are reserved."""
    installed = {name for lock in (*SHARED, *locks) for name in pins(lock)}
    missing = []
    for name in [name for lock in locks for name in pins(lock)]:
        found = {IMPORT_NAMES.get(name, name.replace("-", "_"))}
        # zope-event is imported as zope.event: several packages share a namespace.
        if (namespace := name.split("-")[0]) not in installed:
            found.add(namespace)
        if not found & set(reserved):
            missing.append(name)
    assert not missing, "reserve their import names; IMPORT_NAMES has those that differ"


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_no_package_can_hide_a_module_of_the_project(pair, make_project):
    project = make_project(pair, PYTHON_VERSIONS[0])
    folders = {
        path.name for path in project.path.iterdir() if path.is_dir() and path.name.isidentifier()
    } - {"secrets"}
    # Python and pytest import these as top-level modules, by their file names.
    modules = {
        path.stem
        for folder in ("server", "tests")
        for path in (project.path / folder).rglob("*.py")
        if path.stem.isidentifier() and path.stem != "__init__"
    }
    assert folders | modules <= {*RESERVED, *OWN_RESERVED[pair.server]}


# --- A project's lock.py ---

# Pins the first file, and fails for the second.
BROKEN_UV = """#!/bin/sh
case "$*" in *"--group server"*) echo "no solution" >&2; exit 1;; esac
echo changed > requirements.txt
"""


@pytest.mark.posix
@pytest.mark.parametrize(
    ("uv", "message"),
    [(BROKEN_UV, "no solution\nNothing was changed.\n"), (None, "Install uv: https://")],
    ids=["fails", "missing"],
)
def test_a_failure_changes_nothing(uv: str | None, message: str, tmp_path: Path):
    project = generate(tmp_path)
    if uv:
        (tmp_path / "uv").write_text(uv, encoding="utf-8")
        (tmp_path / "uv").chmod(0o755)
    files = [file for file in project.rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    done = subprocess.run(
        [sys.executable, "lock.py", "humanize"],
        cwd=project,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert {file: file.read_bytes() for file in files} == before
