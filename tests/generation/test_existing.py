"""An existing project: what is read of it, and what is refused."""

import subprocess

import pytest

from tests.lib.existing import VARIABLE, ProjectError, existing, read_contract
from tests.lib.template import PAIRS, generate

OWN = PAIRS[-1]


@pytest.fixture
def project(tmp_path):
    return generate(tmp_path, wsgi_server=OWN.server, proxy=OWN.proxy, package_name="shop")


@pytest.fixture
def read(monkeypatch):
    """A function that reads the project in a folder."""

    def read(folder):
        monkeypatch.setenv(VARIABLE, str(folder))
        existing.cache_clear()
        return existing()

    yield read
    existing.cache_clear()


def test_the_pair_and_the_package_are_found(project, read):
    own = read(project)
    assert (own.pair, own.package) == (OWN, "shop")
    assert own.different == ()


def test_without_a_project(read):
    assert read("") is None


def test_the_copy_is_what_git_knows_with_new_secrets(project, read, tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    (project / ".env").write_text("PUBLISH_PORT=1\n")
    (project / "new.txt").write_text("not committed")
    secret = (project / "secrets" / "secret_key").read_bytes()
    copy = read(project).copy(tmp_path / "copied")
    assert (copy / "new.txt").exists()
    assert not (copy / ".env").exists()
    assert (copy / "secrets" / "secret_key").read_bytes() != secret
    assert (project / "secrets" / "secret_key").read_bytes() == secret


def test_a_folder_without_a_repository_is_copied_too(project, read, tmp_path):
    (project / ".venv").mkdir()
    copy = read(project).copy(tmp_path / "copied")
    assert (copy / "compose.yaml").exists()
    assert (copy / "secrets" / "secret_key").exists()
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("compose.yaml", None, "set PROJECT to the folder of a project"),
        ("src/shop/about.toml", None, "names its server and its proxy"),
        (
            "src/shop/about.toml",
            'SERVED_BY = "None"',
            "SERVED_BY in .* must be one of ",
        ),
        ("src/shop/about.toml", "SERVED_BY", "no valid TOML"),
        ("contract.toml", "different = 1", "needs tests, a list of names, and a reason"),
        ("contract.toml", "[[different]]\ntests = ['a']", "needs tests"),
        ("contract.toml", "[[different]]\ntests = 'a'\nreason = 'b'", "needs tests"),
        ("contract.toml", "[[different", "no valid TOML"),
    ],
)
def test_what_is_refused(project, read, file, text, message):
    if text is None:
        (project / file).unlink()
    else:
        (project / file).write_text(text)
    with pytest.raises(ProjectError, match=message):
        read(project)


def test_differences_that_are_declared(project, read):
    (project / "contract.toml").write_text(
        "[[different]]\ntests = ['test_a.py::test_b[1]', 'test_c.py::*']\nreason = 'because'\n"
    )
    own = read(project)
    assert own.different == read_contract(project / "contract.toml")
    assert own.expected_failure("test_a.py::test_b[1]") == ("because", True)
    assert own.expected_failure("test_a.py::test_b[2]") is None
    assert own.expected_failure("test_c.py::test_d[2]") == ("because", False)
    # As pytest prints it, with the folder and the pair.
    assert own.expected_failure(f"tests/pairs/test_a.py::test_b[{own.pair}-1]")
    assert own.unknown([f"test_a.py::test_b[{own.pair}-1]"]) == ["test_c.py::*"]
