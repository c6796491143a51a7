"""The template as a repository with several versions, and a home folder for its user."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.template import FOLDER, ROOT

from .project import change, git

# The version of the projects while no version has a tag: most files changed since. It does not skip
# secrets/ in pyproject.toml yet, so its projects pass the option --skip.
FIRST = "0d7d88b32561234fb834e8988a82c66c8cb4de7c"

# The template's address in the documentation.
ADDRESS = "https://github.com/OWNER/REPO"


def earlier_version() -> str:
    """Return the commit of the newest version before the tested one, or FIRST.

    Fails with a solution if the clone does not have this commit.
    """
    newest_first = ("--merged", "HEAD~1", "--sort=-version:refname")
    try:
        tags = git(ROOT, "tag", "--list", "v[0-9]*.[0-9]*.[0-9]*", *newest_first).splitlines()
        version = tags[0] if tags else FIRST
        return git(ROOT, "rev-parse", "--verify", f"{version}^{{commit}}").strip()
    except AssertionError as error:
        wanted = "an earlier version is needed: git fetch --unshallow --tags"
        pytest.fail(f"{error}{wanted}", pytrace=False)


@pytest.fixture(scope="package", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a separate home folder for git, Cookiecutter and cruft, with the template's address.

    The configuration of this machine's user is ignored.
    """
    folder = tmp_path_factory.mktemp("home")
    (folder / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
        f'[url "{folder / "template"}"]\n\tinsteadOf = {ADDRESS}\n',
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("GIT_CONFIG_GLOBAL", str(folder / ".gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.delenv("COOKIECUTTER_CONFIG", raising=False)
        yield folder


@pytest.fixture(scope="package")
def template(home: Path) -> Path:
    """Return the template's repository, with the working tree as its newest commit.

    The version before it, tagged v1.0.0, is invented: it has an additional file, a renamed file
    and a changed line. So an update always has changes, independent of the history.
    """
    # Git finds it by an address with or without this suffix.
    repository = home / "template.git"
    git(home, "clone", "--quiet", ROOT, repository)
    git(repository, "checkout", "--quiet", "-B", "main")
    git(repository, "--work-tree", ROOT, "add", "--all", "cookiecutter.json", "hooks", FOLDER.name)
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "The working tree")
    git(repository, "reset", "--quiet", "--hard")

    folder = repository / FOLDER.name
    (folder / "server" / "dropped.py").write_text('"""Went."""\n', encoding="utf-8")
    git(repository, "mv", folder / "server" / "healthcheck.py", folder / "server" / "renamed.py")
    for proxy in (folder / "variants" / "proxy").iterdir():
        (proxy / "proxy" / "dropped").mkdir()
        (proxy / "proxy" / "dropped" / "too").write_text("Went.\n", encoding="utf-8")
    change(folder / "README.md", "## Where things are", "## Former title")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "An older version")
    git(repository, "tag", "v1.0.0")
    git(repository, "revert", "--no-edit", "HEAD")
    return repository
