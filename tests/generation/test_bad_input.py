"""Invalid answers are rejected with a one-line message, and leave no files behind."""

import keyword
import subprocess
import sys
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from tests.lib.template import FACTS, ROOT, SERVERS, generate

from .contexts import rendered_answers

FREE_TEXT = ("project_name", "description", "author_name")
TYPED = (*FREE_TEXT, "project_slug", "package_name", "author_email")

# The question, the invalid input, and a part of the error message.
REJECTED = [
    *((name, "", f"{name} is empty") for name in TYPED),
    *(("project_name", value, "project_name is empty") for value in (" ", "\t", "\u3000")),
    *((name, "x" * 300, "characters: use at most") for name in TYPED),
    *((name, "x ", "begins or ends with a space") for name in TYPED),
    *((name, "one\ntwo", "line break or another control character") for name in TYPED),
    # Other line breaks, a terminal escape, NUL, DEL, a right-to-left override, a lone surrogate.
    *(("description", f"one{control}two", "another control character") for control in (
        "\r", "\u2028", "\x85", "\x1b[31m", "\0", "\x7f", "\u202e", "\udc80",
    )),
    *(("project_slug", value, "not valid for a folder and an image") for value in (
        "a/b", "/srv/x", "..", ".", "../x", "a\\b", "a b", "My-App", "-a", "a-", "a--b", "a_b",
        "1st", "café", "漢字", "a.b", "a:b", "~", "$HOME", "a;b", "C:x",
    )),
    *(("package_name", value, "not valid for a package") for value in (
        "my-app", "my app", "my.app", "1st", "MyApp", "café", "_", "__init__", "a/b", "ª",
    )),
    *(("package_name", value, "keyword of Python") for value in ("class", "def")),
    *(("package_name", value, "hide Python's own module") for value in (
        "json", "logging", "site", "secrets", "antigravity",
    )),
    *(("package_name", value, "hide a package or folder") for value in (
        "flask", "werkzeug", "test", "tests", "server", "proxy", "src", "pytest", "start",
        *SERVERS[:4],
    )),
    *((name, value, "a device on Windows")
      for name in ("project_slug", "package_name") for value in ("con", "aux", "com1")),
    *(("author_email", value, "is not valid") for value in (
        "me", "me@", "@example.com", "a b@example.com", "me@@example.com",
        'm"e@example.com', "me@exa mple.com", "<me@example.com>", "é@example.com",
        "me@example..com",
    )),
]  # fmt: skip


def shown(value: object) -> str:
    """Return a test's id: the input in ASCII, shortened."""
    return ascii(value)[1:-1][:30]


@pytest.mark.parametrize(("name", "value", "said"), REJECTED, ids=shown)
def test_it_is_rejected_and_leaves_no_files(name, value, said, tmp_path, capfd):
    with pytest.raises(FailedHookException):
        generate_literally(tmp_path / "out", **{name: value})
    lines = capfd.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("Error: ")]
    assert said in line
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def generate_literally(into: Path, **answers: str) -> None:
    """Generate with the literal ``answers``, like text that is typed at a prompt.

    Cookiecutter renders values from its command line and from ``extra_context`` as Jinja.
    """
    generate(
        into, **{name: "{% raw %}" + value + "{% endraw %}" for name, value in answers.items()}
    )


def run_cookiecutter(into: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess:
    """Run Cookiecutter as a program."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "cookiecutter",
            str(ROOT),
            "--default-config",
            *arguments,
            "--output-dir",
            str(into),
        ],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_rejected(done: subprocess.CompletedProcess, said: str) -> None:
    """Check the program's output: one error line from the hook, and a failing exit status."""
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("project_slug", "../x", "not valid for a folder"),
        ("project_slug", "/srv/x", "not valid for a folder"),
        ("project_slug", "a/b", "not valid for a folder"),
        ("project_slug", "s" * 5000, "use at most"),
        ("package_name", "json", "Python's own module"),
        ("description", "", "description is empty"),
        ("author_name", "{% raw %}{{ x }}{% endraw %}", "template syntax"),
    ],
    ids=shown,
)
def test_the_program_rejects_it_and_leaves_nothing(name, value, said, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert_rejected(run_cookiecutter(out, "--no-input", f"{name}={value}"), said)
    assert list(tmp_path.rglob("*")) == [out]


@pytest.mark.parametrize("mark", ["{{ 7 * 7 }}", "{{", "}}", "{% if %}", "{# x #}"])
def test_template_syntax_at_the_prompt_is_rejected(mark, tmp_path):
    typed = [""] * len(questions())
    typed[questions().index("description")] = f"A {mark} service"
    assert_rejected(run_cookiecutter(tmp_path, typed="\n".join(typed) + "\n"), "template syntax")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("broken", ["{{", "{% if %}", "{{ cookiecutter.nothing }}"])
def test_template_syntax_on_the_command_line_is_cookiecutters_error(broken, tmp_path):
    """Cookiecutter renders these values before any hook runs."""
    assert run_cookiecutter(tmp_path, "--no-input", f"description={broken}").returncode != 0
    assert not any(tmp_path.iterdir())


def test_template_expressions_on_the_command_line_are_rendered_once(tmp_path):
    done = run_cookiecutter(tmp_path, "--no-input", "description=Answer {{ 6 * 7 }}")
    assert done.returncode == 0, done.stderr
    assert "Answer 42" in (tmp_path / "my-flask-service" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("slug", ["My-Service", "my service", "my/service", "../my-service", "."])
def test_a_rejection_keeps_existing_files(slug, tmp_path):
    """Existing files stay, even where the invalid slug points to another project's folder."""
    out = tmp_path / "out"
    for folder in (tmp_path / "my-service", out / "my-service", out / "rejected", out / "my"):
        folder.mkdir(parents=True)
        (folder / "precious").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FailedHookException):
        cookiecutter(
            str(ROOT),
            no_input=True,
            output_dir=str(out),
            extra_context={"project_slug": slug},
            default_config=True,
            overwrite_if_exists=True,
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_accepting_all_defaults_works(tmp_path):
    done = run_cookiecutter(tmp_path, typed="\n" * len(questions()))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my-flask-service" / "secrets" / "secret_key").is_file()


@pytest.mark.parametrize(
    "name",
    [
        *("3D Viewer", "404", "🚀", "!?", "---", "_", "漢字", "Ünïcode", "x" * 80, "x" + " x" * 39),
        *("Flask", "Test", "Import", "class", "json", "Werkzeug", "pre commit"),
        *("con", "AUX", "com1", "LPT9"),
    ],
    ids=shown,
)
def test_defaults_are_valid_for_every_project_name(name, tmp_path):
    """The folder and the package get other names than the project where its name is not valid."""
    generate_literally(tmp_path, project_name=name)


def test_no_default_is_a_module_or_keyword_of_python():
    names = {*keyword.kwlist, *sys.stdlib_module_names}
    assert not {rendered_answers(project_name=name)["package_name"] for name in names} & names


def questions() -> list[str]:
    """Return Cookiecutter's questions in order."""
    return [name for name in FACTS if not name.startswith("_")]


NEED_AN_IMAGE = [name for name in SERVERS if FACTS["_servers"][name]["without_image"]]
RUN_NO_IMAGES = [name for name, target in FACTS["_platforms"].items() if not target["runs_images"]]


@pytest.mark.parametrize("server", NEED_AN_IMAGE)
@pytest.mark.parametrize("target", RUN_NO_IMAGES)
def test_a_server_that_needs_an_image_is_rejected_where_none_can_run(target, server, tmp_path):
    """The error names the closest server that works; with "all", the target is left out."""
    nearest = FACTS["_servers"][server]["without_image"]
    choice = ("--no-input", f"deploy_to={target}")
    assert_rejected(run_cookiecutter(tmp_path, *choice, f"wsgi_server={server}"), repr(nearest))
    assert not any(tmp_path.iterdir())
    assert (generate(tmp_path / "near", wsgi_server=nearest, deploy_to=target) / "deploy").is_dir()
    everywhere = generate(tmp_path / "all", wsgi_server=server, deploy_to="all") / "deploy"
    assert {path.name for path in everywhere.iterdir()} == set(FACTS["_platforms"]) - {target}


def test_there_is_such_a_server_and_such_a_target():
    """Otherwise the test above has no parameters."""
    assert NEED_AN_IMAGE
    assert RUN_NO_IMAGES
