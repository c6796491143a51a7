"""The settings of a generated project: description, readers and default."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# How a file reads a setting, by the end of the file's name; all others as compose.yaml does.
READS = {
    # Not what a request brings: that is an "environ" too.
    ".py": re.compile(
        r"""(?:os\.environ\[|(?<!request\.)environ\.get\(|environ, )"""
        r"""["'](?!CONTENT_|HTTP_X_|PATH_INFO|REMOTE_ADDR)([A-Z][A-Z0-9_]+)["']"""
    ),
    ".ini": re.compile(r"(?:\$\(|-env = )([A-Z][A-Z0-9_]+)"),
}
READS_LIKE_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]+)")
# How a file gives one its default: compose.yaml, the Dockerfile, start.py, and config.py.
DEFAULTS = [
    re.compile(r"\$\{([A-Z_]+):-([^}]*)\}"),
    re.compile(r"^ARG ([A-Z_]+)=(.+)", re.MULTILINE),
    re.compile(r'^    "([A-Z_]+)": "(.*)",$', re.MULTILINE),
    re.compile(r'environ, "([A-Z_]+)", default=([\d *]+)'),
]
# Who reads a file, by where it lies.
FOLDERS = {"server": "server", "src": "application", "proxy": "proxy", "Dockerfile": "build"}


class Group(NamedTuple):
    """Settings that .env.example explains together, and the value that it shows for each."""

    section: str
    values: dict[str, str]
    meaning: str


def explained(project: Path) -> Iterator[Group]:
    """Yield what a project's .env.example explains."""
    section, comment = "", []
    values: dict[str, str] = {}
    text = (project / ".env.example").read_text(encoding="utf-8")
    for line in [*text.splitlines(), ""]:
        if setting := re.fullmatch(r"# ([A-Z_]+)=(.*)", line):
            values[setting[1]] = setting[2]
            continue
        if values:
            # Beside others that differ from server to server, a comment begins with the name.
            meaning = " ".join(comment).removeprefix(f"{next(iter(values))}: ")
            yield Group(section, values, meaning)
            comment, values = [], {}
        if title := re.fullmatch(r"# --- (.*) ---", line):
            section, comment = title[1], []
        elif line:
            comment.append(line.removeprefix("# "))


def reading_files(project: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file that may read settings, after who it belongs to."""
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
    """Return who reads each setting."""
    found = defaultdict(set)
    for reader, file in reading_files(project):
        for name in read_names(file):
            found[name].add(reader)
    return found


def defaults(project: Path) -> dict[str, set[str]]:
    """Return the defaults that a project's files give each setting: one, if they agree."""
    found = defaultdict(set)
    for _, file in reading_files(project):
        text = file.read_text(encoding="utf-8")
        for pattern in DEFAULTS:
            for name, value in pattern.findall(text):
                product = re.fullmatch(r"\d+( \* \d+)+", value)
                found[name].add(str(math.prod(map(int, value.split(" * ")))) if product else value)
    return found
