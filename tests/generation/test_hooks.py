"""The hooks: repeated runs, and their requirements."""

import ast
import re
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


@pytest.mark.parametrize(
    ("template", "repository"),
    [
        ("gh:some-one/a.template", "some-one/a.template"),
        ("https://github.com/some-one/template", "some-one/template"),
        ("https://github.com/some-one/template.git", "some-one/template"),
        ("git@github.com:some-one/template.git", "some-one/template"),
        ("/home/me/template", None),
        (".", None),
        ("https://gitlab.com/some-one/template", None),
        ("https://github.com/some-one/template/archive/v1.zip", None),
    ],
)
def test_the_templates_repository(template, repository):
    (hook,) = [hook for hook in HOOKS if hook.stem == "post_gen_project"]
    nodes = ast.parse(hook.read_text(encoding="utf-8")).body
    (pattern,) = [
        node.value.args[0].value
        for node in nodes
        if isinstance(node, ast.Assign) and node.targets[0].id == "REPOSITORY"
    ]
    found = re.fullmatch(pattern, template)
    assert (found and found[1]) == repository


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


def test_another_server_over_the_same_folder_replaces_the_former_files(tmp_path):
    """The folders that only the former answers have are removed too. Files with changes stay."""
    first, last = PAIRS[0], PAIRS[-1]
    project = generate(tmp_path, wsgi_server=first.server, proxy=first.proxy, ci="github")
    changed = project / ".github" / "dependabot.yml"
    changed.write_text("version: 2\n", encoding="utf-8")
    answers = {"wsgi_server": last.server, "proxy": last.proxy, "ci": "none"}
    assert generate(tmp_path, overwrite_if_exists=True, **answers) == project
    found, fresh = contents(project), contents(generate(tmp_path / "fresh", **answers))
    key = "secrets/secret_key"
    assert found.pop(key) != fresh.pop(key)
    assert found.pop(str(changed.relative_to(project)))
    assert found == fresh
    assert not (project / ".github" / "workflows").exists()


def test_the_next_steps_are_printed(tmp_path, capfd):
    project = generate(tmp_path, project_slug="shop")
    first, then = capfd.readouterr().out.splitlines()
    assert first == f"Created {project}."
    assert "cd shop && docker compose up" in then


@pytest.mark.parametrize("version", [(3, 9), (3, 8)])
def test_an_old_python_is_named(version, tmp_path):
    """Cookiecutter may run on a Python that the hooks do not support."""
    source = environment(rendered_answers()).from_string(HOOKS[-1].read_text(encoding="utf-8"))
    code = source.render(cookiecutter=rendered_answers())
    older = f"import sys; sys.version_info = {version}; del sys.stdlib_module_names\n"
    done = subprocess.run(
        [sys.executable, "-c", older + code.replace("import sys\n", "")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"Error: Cookiecutter runs on Python {version[0]}.{version[1]}" in done.stderr
