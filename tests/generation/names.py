"""The names of servers and proxies in texts, from cookiecutter.json."""

import json
import re
from typing import Any

from ..harness.template import FACTS

# A proxy's own settings for the protocols that it is compiled with, each called after one.
OWN_DIRECTIVE = re.compile(r"^ *[a-z]+_temp_path ")

CHOICES: dict[str, dict[str, Any]] = FACTS["_servers"] | FACTS["_proxies"]


def names(choice: str) -> set[str]:
    """Return what ``choice`` is called: its value, its title, its packages and its image."""
    entry = CHOICES[choice]
    found = {choice, entry["title"], *re.findall(r"[\w-]+", entry.get("requirement", ""))}
    if "image" in entry:
        found.add(entry["image"].split(":")[0])
    return found | {name.replace("_", "-") for name in found}


def pattern(words: set[str]) -> re.Pattern[str]:
    """Match any of ``words``, in any case, where no letter stands on either side."""
    if not words:
        return re.compile(r"(?!)")
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"(?<![a-z])(?:{'|'.join(longest_first)})(?![a-z])", re.IGNORECASE)


def belonging(choice: str) -> set[str]:
    """Return the choices that ``choice`` cannot do without mentioning.

    They are those that it is made of, by its packages, and for a legacy one what its own prompt
    names to take instead.
    """
    parts = ("title", "requirement", "debian_packages")
    said = json.dumps([CHOICES[choice].get(part) for part in parts])
    label = FACTS["__prompts__"]["wsgi_server"].get(choice, "")
    if "legacy" in label:
        said += label
    return {choice} | {other for other in CHOICES if pattern(names(other)).search(said)}


def foreign_names(*chosen: str) -> re.Pattern[str]:
    """Match the names of all choices that have nothing to do with the ``chosen`` ones."""
    own = set().union(*(belonging(choice) for choice in chosen))
    allowed = {name.lower() for choice in own for name in names(choice)}
    words = {name for choice in set(CHOICES) - own for name in names(choice)}
    return pattern({word for word in words if word.lower() not in allowed})
