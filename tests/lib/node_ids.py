"""The parts of a test's id: its pair, its concern and its name."""

from pathlib import PurePath

from .template import PAIRS, Pair


def place(nodeid: str) -> tuple[Pair, str, str] | None:
    """Return a test's pair, its concern, and its name without the pair; None if it has no pair."""
    file, _, test = nodeid.partition("::")
    name, _, parameters = test.partition("[")
    parameters = parameters.removesuffix("]")
    for pair in PAIRS:
        if parameters == str(pair) or parameters.startswith(f"{pair}-"):
            rest = parameters.removeprefix(str(pair)).removeprefix("-")
            concern = PurePath(file).stem.removeprefix("test_")
            return pair, concern, f"{concern}::{name}" + (f"[{rest}]" if rest else "")
    return None


def names(nodeid: str) -> list[str]:
    """Return the names of a test: as pytest prints it, without the folder, and without the pair."""
    file, _, test = nodeid.partition("::")
    found = [nodeid, f"{PurePath(file).name}::{test}"]
    if placed := place(nodeid):
        found.append(f"test_{placed[1]}.py::{placed[2].partition('::')[2]}")
    return found
