"""Runs commands of a generated project's pages exactly as written."""

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from .stack import run

# The first word of an inline command; code blocks are marked with a language.
PROGRAM = re.compile(r"(cruft|docker|git|python3|sudo|uv|\.venv/bin/\S+) ")


def pages(project: Path) -> list[Path]:
    """Return a project's README and the pages that it links to."""
    return [project / "README.md", *sorted((project / "docs").glob("*.md"))]


def readme_commands(project: Path) -> list[str]:
    """Return each block of commands on a project's pages, and each inline command."""
    found = []
    for page in pages(project):
        text = page.read_text(encoding="utf-8")
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

    Blocks directly below the page's title belong to every heading.
    """
    found, under = [], heading
    for before, token in pairwise(MarkdownIt().parse(page.read_text(encoding="utf-8"))):
        if before.type == "heading_open" and before.tag != "h1":
            under = token.content
        elif token.info == kind and heading in (None, under):
            found.append(token.content)
    return found


def commands(page: Path, heading: str | None) -> str:
    """Return the contents of the page's console blocks: all, or those under one heading.

    Blocks of other kinds must be adapted by the reader first.
    """
    found = blocks(page, "console", heading)
    assert found, f"{page} has no commands under {heading!r}"
    return "\n".join(found)


def claims(beginning: str, text: str) -> bool:
    """Return whether ``beginning`` is the whole ``text``, or the start of it if it is a block."""
    return text == beginning or ("\n" in text and text.startswith(beginning))


def run_readme(project: Path, beginning: str, *, within: Sequence[str] = ()) -> str:
    """Run a command, or the block with this beginning, in the project; return its output.

    ``within`` is a command that runs the shell, for example in a container. A test in
    tests/generation inspects the calls of this function to find commands that no test runs.
    """
    found = {text for text in readme_commands(project) if claims(beginning, text)}
    (text,) = found & {beginning} or found
    return run_shell(text, project, within)


def run_page(page: Path, beginning: str, project: Path) -> str:
    """Like run_readme(), for a command of a page of this repository."""
    (text,) = {text for text in page_commands(page) if text.startswith(beginning)}
    return run_shell(text, project)


def run_shell(text: str, project: Path, within: Sequence[str] = ()) -> str:
    """Run commands in a project; return their output."""
    # Tools such as uv are in the tests' virtual environment, which may not be activated.
    path = f"PATH={Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return run([*(within or ["env", path]), "bash", "-euo", "pipefail", "-c", text], cwd=project)
