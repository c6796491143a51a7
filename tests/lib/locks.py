"""Locks: requirements with hashes, and the commands of a project's README that write them."""

import re
import shlex
from pathlib import Path


def commands(readme: Path) -> dict[str, list[str]]:
    """Return the locking commands in a generated README, by the file that each writes."""
    lines = re.findall(r"^uv pip compile .*$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return {command[command.index("--output-file") + 1]: command for command in found}


def pins(text: str) -> dict[str, str]:
    """Return the lines of each package in a lock, by package name."""
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {block.split("==")[0]: block for block in blocks[1:]}
