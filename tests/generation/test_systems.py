"""Requirements of Windows and macOS, as far as they can be tested elsewhere."""

import ntpath
import os
import re
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch, fnmatchcase
from pathlib import Path, PureWindowsPath

import pytest

from tests.lib.template import FACTS, FOLDER, ROOT, generate, template_files

from .contexts import environment, rendered_answers

# Names that are devices on Windows, with any suffix.
DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\.|$)", re.IGNORECASE)
# Maximum length of a path on Windows, including the terminating NUL.
LONGEST_PATH = 260
# Where Cookiecutter keeps the template, and where cruft generates; a user's name has at most 20
# characters.
KEPT_IN = r"C:\Users\twenty-characters-xx\.cookiecutters\cookiecutter-flask-sidecar"
MADE_IN = r"C:\Users\twenty-characters-xx\AppData\Local\Temp\tmp12345678"
# An ASCII locale, which Python does not override: stricter than Windows' code pages.
ASCII_ONLY = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def git(folder: Path, *arguments: str | Path) -> str:
    """Run git in a folder with a configuration like that of Windows; return its output."""
    return subprocess.run(
        [
            "git",
            "-c",
            "core.autocrlf=true",
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b",
            *arguments,
        ],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Return the mode of each tracked file of this repository, by its name."""
    lines = git(ROOT, "ls-files", "--stage", "-z").split("\0")
    return {name: about.split()[0] for about, _, name in (x.partition("\t") for x in lines) if name}


def test_names_are_valid_on_windows(tracked):
    """The names of this repository's files are valid, and so are the projects' names."""
    for name in tracked:
        for part in Path(name).parts:
            assert not set(part) & set('<>:"\\|?*'), name
            assert part == part.rstrip(" .") and part.isascii(), name
            assert not DEVICE.match(part), name
    same = [name for name, count in Counter(map(str.lower, tracked)).items() if count > 1]
    assert not same, "they differ only by case"


def test_paths_are_valid_on_windows(tracked):
    """Paths fit in Cookiecutter's folder, and as generated with long names before the hook."""
    names = [rf"{KEPT_IN}\{name}" for name in tracked]
    answers = rendered_answers(project_slug="s" * 40, deploy_to="all")
    jinja = environment(answers)
    for path in template_files():
        made = jinja.from_string(path.relative_to(ROOT).as_posix()).render(cookiecutter=answers)
        names.append(rf"{MADE_IN}\{made}")
    assert [name for name in names if len(name) + 1 > LONGEST_PATH] == []


def test_files_are_not_links(tracked):
    """There are no symbolic links (restricted on Windows) and no executable template files."""
    assert set(tracked.values()) <= {"100644", "100755"}
    assert {mode for name, mode in tracked.items() if name.startswith(FOLDER.name)} == {"100644"}


def test_line_endings_after_a_clone_on_windows(tmp_path):
    """.gitattributes sets the line endings, independent of git's configuration."""
    git(tmp_path, "clone", "--quiet", "--depth", "1", ROOT.as_uri(), "template")
    cloned = tmp_path / "template"
    files = [path for path in (cloned / FOLDER.name).rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"\r" in path.read_bytes()] == []

    project = generate(tmp_path / "made")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "All")
    git(tmp_path, "clone", "--quiet", project, "copy")
    for name in git(project, "ls-files").splitlines():
        assert (tmp_path / "copy" / name).read_bytes() == (project / name).read_bytes(), name


def test_the_same_files_are_copied_as_they_are():
    """Windows copies the same files without rendering, although it matches backslashes."""
    patterns = FACTS["_copy_without_render"]
    for path in template_files():
        name = path.relative_to(FOLDER).as_posix()
        here = {pattern for pattern in patterns if fnmatch(name, pattern)}
        there = ntpath.normcase(PureWindowsPath(name))
        assert here == {p for p in patterns if fnmatchcase(there, ntpath.normcase(p))}, name


@pytest.mark.parametrize("setting", [{}, ASCII_ONLY], ids=["utf-8", "ascii"])
def test_spaces_and_non_ascii_characters_in_paths_and_answers(setting, tmp_path):
    name = "Zoë Ångström 漢字"
    into = tmp_path / f"My Projects {name}"
    into.mkdir()
    # Input at a prompt is limited to the locale's characters; Cookiecutter's file is not.
    own = tmp_path / "own.yaml"
    own.write_text(
        f"default_context: {{author_name: {name}}}\nreplay_dir: {tmp_path}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", ROOT, "--no-input"),
            *("--config-file", own, "--output-dir", into),
        ],
        env=os.environ | setting,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    project = into / "my-flask-service"
    assert name in (project / "LICENSE").read_text(encoding="utf-8")
    assert (project / "secrets" / "secret_key").is_file()
    assert not (project / "variants").exists()
