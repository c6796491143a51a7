"""The hooks: repeated runs, and their requirements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lib.template import PAIRS, ROOT, generate

from .contexts import environment, rendered_answers

HOOKS = sorted((ROOT / "hooks").glob("*.py"))


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and the content of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def run_hook(hook: Path, project: Path) -> None:
    """Run a hook as Cookiecutter does, but with only the standard library available."""
    answers = rendered_answers()
    source = environment(answers).from_string(hook.read_text(encoding="utf-8"))
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", source.render(cookiecutter=answers)],
        cwd=project,
        check=True,
    )


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.stem)
def test_a_second_run_changes_nothing(hook, tmp_path):
    project = generate(tmp_path)
    before = contents(project)
    run_hook(hook, project)
    assert contents(project) == before


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.stem)
def test_hooks_need_only_the_standard_library(hook):
    for node in ast.walk(ast.parse(hook.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            assert node.module and node.module.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.stem)
def test_hooks_do_not_depend_on_the_system(hook):
    """Hooks do not depend on the default encoding, line endings, a shell or symbolic links."""
    nodes = list(ast.walk(ast.parse(hook.read_text(encoding="utf-8"))))
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not imported & {"os", "subprocess"}
    assert not used & {"open", "write_text", "read_text", "symlink_to"}


def test_generating_again_keeps_the_signing_key_and_what_was_added(tmp_path):
    project = generate(tmp_path)
    key = project / "secrets" / "secret_key"
    before = key.read_text(encoding="utf-8")
    (project / "src" / "mine.py").write_text("mine = True\n", encoding="utf-8")
    assert generate(tmp_path, overwrite_if_exists=True) == project
    assert key.read_text(encoding="utf-8") == before
    assert (project / "src" / "mine.py").exists()
    assert not (project / "variants").exists()


def test_each_project_has_a_signing_key_of_its_own(tmp_path):
    keys = {
        (generate(tmp_path / name) / "secrets" / "secret_key").read_text(encoding="utf-8").strip()
        for name in ("one", "two")
    }
    assert len(keys) == 2
    assert all(len(key) >= 43 for key in keys), "less than 256 bits (base64)"


@pytest.mark.posix
def test_only_the_owner_reaches_the_key_on_the_host_and_anybody_in_the_container(tmp_path):
    secrets = generate(tmp_path) / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / "secret_key").stat().st_mode & 0o777 == 0o644


@pytest.mark.posix
@pytest.mark.parametrize("umask", ["077", "002"])
def test_the_umask_does_not_matter(umask, tmp_path):
    """A umask of 077 must not make the key unreadable, nor 002 let others list the folder."""
    subprocess.run(
        [
            "sh",
            "-c",
            f'umask {umask} && exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "cookiecutter",
            str(ROOT),
            "--no-input",
            "--default-config",
            "--output-dir",
            str(tmp_path),
        ],
        check=True,
    )
    (project,) = tmp_path.iterdir()
    assert (project / "secrets").stat().st_mode & 0o777 == 0o700
    assert (project / "secrets" / "secret_key").stat().st_mode & 0o777 == 0o644


def test_another_server_over_the_same_folder_brings_its_own_files(tmp_path):
    first, last = PAIRS[0], PAIRS[-1]
    generate(tmp_path, wsgi_server=first.server, proxy=first.proxy)
    project = generate(
        tmp_path, overwrite_if_exists=True, wsgi_server=last.server, proxy=last.proxy
    )
    fresh = generate(tmp_path / "fresh", wsgi_server=last.server, proxy=last.proxy)
    for name, (_, content) in contents(fresh).items():
        if not name.startswith("secrets/"):
            assert (project / name).read_bytes() == content, name
