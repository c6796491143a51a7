"""The settings of a generated project: description, readers and default."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# How a file reads a setting, by file name suffix; other files use the syntax of compose.yaml.
READS = {
    # Without the keys of a request's WSGI environ.
    ".py": re.compile(
        r"""(?:os\.environ\[|(?<!request\.)environ\.get\(|environ, )"""
        r"""["'](?!CONTENT_|HTTP_X_|PATH_INFO|REMOTE_ADDR)([A-Z][A-Z0-9_]+)["']"""
    ),
    ".ini": re.compile(r"(?:\$\(|-env = )([A-Z][A-Z0-9_]+)"),
}
READS_LIKE_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]+)")
# How a file sets a default: compose.yaml, the Dockerfile, start.py, and config.py.
DEFAULTS = [
    re.compile(r"\$\{([A-Z_]+):-([^}]*)\}"),
    re.compile(r"^ARG ([A-Z_]+)=(.+)", re.MULTILINE),
    re.compile(r'^    "([A-Z_]+)": "(.*)",$', re.MULTILINE),
    re.compile(r'environ, "([A-Z_]+)", default=([\d *]+)'),
]
# The reader of a file, by the file's location.
FOLDERS = {"server": "server", "src": "application", "proxy": "proxy", "Dockerfile": "build"}


class Group(NamedTuple):
    """Settings that share an explanation in .env.example, each with the value shown there."""

    section: str
    values: dict[str, str]
    meaning: str


def explained(project: Path) -> Iterator[Group]:
    """Yield the groups of settings in a project's .env.example."""
    section, comment = "", []
    values: dict[str, str] = {}
    text = (project / ".env.example").read_text(encoding="utf-8")
    for line in [*text.splitlines(), ""]:
        if setting := re.fullmatch(r"# ([A-Z_]+)=(.*)", line):
            values[setting[1]] = setting[2]
            continue
        if values:
            # The comment of a setting that differs between servers begins with its name.
            meaning = " ".join(comment).removeprefix(f"{next(iter(values))}: ")
            yield Group(section, values, meaning)
            comment, values = [], {}
        if title := re.fullmatch(r"# --- (.*) ---", line):
            section, comment = title[1], []
        elif line:
            comment.append(line.removeprefix("# "))


def reading_files(project: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file that may read settings, with its reader first."""
    for file in sorted(project.rglob("*")):
        first = file.relative_to(project).parts[0]
        reader = "compose" if re.fullmatch(r"compose.*\.yaml", first) else FOLDERS.get(first)
        if reader and file.is_file() and file.suffix != ".pyc":
            yield reader, file


def read_names(file: Path) -> set[str]:
    """Return the settings that a file reads."""
    pattern = READS.get(file.suffix, READS_LIKE_COMPOSE)
    code = re.sub(r"^\s*#.*", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(pattern.findall(code))


def readers(project: Path) -> dict[str, set[str]]:
    """Return the readers of each setting."""
    found = defaultdict(set)
    for reader, file in reading_files(project):
        for name in read_names(file):
            found[name].add(reader)
    return found


def defaults(project: Path) -> dict[str, set[str]]:
    """Return the defaults of each setting in a project's files: one if the files agree."""
    found = defaultdict(set)
    for _, file in reading_files(project):
        text = file.read_text(encoding="utf-8")
        for pattern in DEFAULTS:
            for name, value in pattern.findall(text):
                product = re.fullmatch(r"\d+( \* \d+)+", value)
                found[name].add(str(math.prod(map(int, value.split(" * ")))) if product else value)
    return found
