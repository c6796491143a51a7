"""Locks: requirements with hashes, and the commands of a project that write them."""

import re
import runpy
from pathlib import Path


def commands(project: Path) -> dict[str, list[str]]:
    """Return the commands of a project's lock.py, by the file that each writes."""
    script = runpy.run_path(str(project / "lock.py"))
    return {file: script["command"](file) for file in script["PINNED"]}


def pins(text: str) -> dict[str, str]:
    """Return the lines of each package in a lock, by package name."""
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {block.split("==")[0]: block for block in blocks[1:]}
