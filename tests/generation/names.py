"""The names of servers and proxies in texts, from cookiecutter.json."""

import json
import re
from typing import Any

from tests.lib.template import FACTS

# Proxy settings for the protocols that it is compiled with, each named after a protocol.
OWN_DIRECTIVE = re.compile(r"^ *[a-z]+_temp_path ")

CHOICES: dict[str, dict[str, Any]] = FACTS["_servers"] | FACTS["_proxies"]


def names(choice: str) -> set[str]:
    """Return the names of ``choice``: its value, its title, its packages and its image."""
    entry = CHOICES[choice]
    found = {choice, entry["title"], *re.findall(r"[\w-]+", entry.get("requirement", ""))}
    if "image" in entry:
        found.add(entry["image"].split(":")[0])
    return found | {name.replace("_", "-") for name in found}


def pattern(words: set[str]) -> re.Pattern[str]:
    """Return a case-insensitive pattern for ``words`` with no letter before or after."""
    if not words:
        return re.compile(r"(?!)")
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"(?<![a-z])(?:{'|'.join(longest_first)})(?![a-z])", re.IGNORECASE)


def belonging(choice: str) -> set[str]:
    """Return the choices that the files of ``choice`` may mention.

    These are the choices that its packages include and, for a legacy server, the alternative
    that its prompt names.
    """
    parts = ("title", "requirement", "debian_packages")
    said = json.dumps([CHOICES[choice].get(part) for part in parts])
    label = FACTS["__prompts__"]["wsgi_server"].get(choice, "")
    if "legacy" in label:
        said += label
    return {choice} | {other for other in CHOICES if pattern(names(other)).search(said)}


def foreign_names(*chosen: str) -> re.Pattern[str]:
    """Return a pattern for the names of all choices unrelated to the ``chosen`` ones."""
    own = set().union(*(belonging(choice) for choice in chosen))
    allowed = {name.lower() for choice in own for name in names(choice)}
    words = {name for choice in set(CHOICES) - own for name in names(choice)}
    return pattern({word for word in words if word.lower() not in allowed})
