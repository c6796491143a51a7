"""Runs commands of a generated project's pages exactly as written."""

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from .stack import run

# What a command within a line begins with; blocks are marked as such.
PROGRAM = re.compile(r"(cruft|docker|git|python3|sudo|uv|\.venv/bin/\S+) ")


def readme_commands(project: Path) -> list[str]:
    """Return each block of commands, and each command within a line."""
    text = (project / "README.md").read_text(encoding="utf-8")
    found = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "fence" and token.info in ("bash", "console", "sh", "shell"):
            found.append(token.content)
        for child in token.children or []:
            if child.type == "code_inline" and PROGRAM.match(child.content):
                found.append(child.content)
    return found


def page_commands(page: Path) -> list[str]:
    """Return each command of a page of this repository."""
    return [line for text in blocks(page, "console") for line in text.splitlines() if line]


def blocks(page: Path, kind: str, heading: str | None = None) -> list[str]:
    """Return a page's blocks of one kind: all, or those under one heading.

    What stands under the page's title is for all headings.
    """
    found, under = [], heading
    for before, token in pairwise(MarkdownIt().parse(page.read_text(encoding="utf-8"))):
        if before.type == "heading_open" and before.tag != "h1":
            under = token.content
        elif token.info == kind and heading in (None, under):
            found.append(token.content)
    return found


def commands(page: Path, heading: str | None) -> str:
    """Return what stands in the page's console blocks, of all or under one heading.

    Blocks of another kind are for the reader to adapt.
    """
    found = blocks(page, "console", heading)
    assert found, f"{page} has no commands under {heading!r}"
    return "\n".join(found)


def claims(beginning: str, text: str) -> bool:
    """Say whether a block or command ``text`` is meant: by its first words, or by all it is."""
    return text == beginning or ("\n" in text and text.startswith(beginning))


def run_readme(project: Path, beginning: str, *, within: Sequence[str] = ()) -> str:
    """Run a command, or the block that begins so, in the project; return what it printed.

    ``within`` is what runs the shell, if not this machine. A test in tests/generation looks for
    calls of this function, and finds the commands that nothing runs.
    """
    (text,) = {text for text in readme_commands(project) if claims(beginning, text)}
    return run_shell(text, project, within)


def run_page(page: Path, beginning: str, project: Path) -> str:
    """Run a command of a page of this repository in a project, by its beginning; as run_readme."""
    (text,) = {text for text in page_commands(page) if text.startswith(beginning)}
    return run_shell(text, project)


def run_shell(text: str, project: Path, within: Sequence[str] = ()) -> str:
    """Run commands in a project; return what they printed."""
    # Tools such as uv are in the tests' environment, which need not be activated.
    path = f"PATH={Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return run([*(within or ["env", path]), "bash", "-euo", "pipefail", "-c", text], cwd=project)
