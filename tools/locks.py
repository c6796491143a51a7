"""Pin the newest releases of all requirements, with hashes: `make locks`.

`make locks SERVER=name` pins only that server's requirements.

Each server's project is generated and locked with the commands of its lock.py, so that the template
contains the same lock that a user gets.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, combinations, groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lib.locks import commands, pins
from tests.lib.template import FOLDER, OPTIONS, PYTHON_VERSIONS, ROOT, SERVERS, generate

# A universal lock for the oldest Python is valid for newer ones too.
OLDEST = min(PYTHON_VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
SLUG = "locked-project"


def lock(project: Path, file: str) -> str:
    """Run the project's command for ``file``, and return the result as a template.

    The project name and the Python version in uv's comments are replaced by Cookiecutter variables.
    """
    command = [*commands(project)[file], "--upgrade", "--quiet"]
    print(shlex.join(command), file=sys.stderr)
    subprocess.run(command, cwd=project, check=True)
    text = (project / file).read_text(encoding="utf-8")
    text = text.replace(f"{SLUG} (", "{{ cookiecutter.project_slug }} (")
    text = text.replace(
        f"--python-version {OLDEST} ", "--python-version {{ cookiecutter.python_version }} "
    )
    return text.replace(" --upgrade --quiet", "")


def condition(choice: dict[str, bool]) -> str:
    """Return the Jinja condition for these options, each with or without."""
    return " and ".join(
        f'cookiecutter.{question} == "{OPTIONS[question] if taken else "none"}"'
        for question, taken in choice.items()
    )


def variants(blocks: dict[frozenset[str], str | None]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a package, each with the condition under which a project has them.

    ``blocks``: the lines, or None, by the set of options that are taken.
    """
    # The options that make a difference: uv's comments name the packages that need this one.
    relevant = [
        question
        for question in OPTIONS
        if any(blocks[taken] != blocks[taken ^ {question}] for taken in blocks)
    ]
    for taken in map(frozenset, powerset(relevant)):
        if block := blocks[taken]:
            yield condition({question: question in taken for question in relevant}), block


def powerset(items: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield all subsets."""
    items = list(items)
    return chain.from_iterable(combinations(items, size) for size in range(len(items) + 1))


def with_options(locks: dict[frozenset[str], str]) -> str:
    """Merge the locks of all combinations of options into a template.

    Raises SystemExit when a package has different versions in two of them.
    """
    found = {taken: pins(text) for taken, text in locks.items()}
    names = sorted(set().union(*found.values()))
    lines: list[tuple[str, str]] = []
    for name in names:
        blocks = {taken: own.get(name) for taken, own in found.items()}
        if len({block.split(" ")[0] for block in blocks.values() if block}) > 1:
            raise SystemExit(f"The options change the version of {name}.")
        lines += variants(blocks)
    plain = locks[frozenset()]
    text = plain[: plain.index(next(iter(found[frozenset()].values())))]
    # Adjacent packages share a condition: each condition makes the generation of projects slower.
    for needed, group in groupby(lines, lambda line: line[0]):
        together = "".join(block for _, block in group)
        text += f"{{%- if {needed} %}}\n{together}{{%- endif %}}\n" if needed else together
    return text


def lock_shared(project: Path) -> None:
    """Lock the requirements that all projects share, including the packages of each option."""
    locks = {}
    for taken in map(frozenset, powerset(OPTIONS)):
        with TemporaryDirectory() as scratch:
            choices = {question: OPTIONS[question] for question in taken}
            made = generate(Path(scratch), project_slug=SLUG, python_version=OLDEST, **choices)
            locks[taken] = lock(made, "requirements.txt")
    (FOLDER / "requirements.txt").write_text(with_options(locks), encoding="utf-8")
    text = lock(project, "requirements-dev.txt")
    (FOLDER / "requirements-dev.txt").write_text(text, encoding="utf-8")


def main(servers: list[str]) -> None:
    """Lock the shared requirements, each server's requirements, and the requirements of the tests.

    With ``servers``, lock only the requirements of these servers.
    """
    for number, server in enumerate(servers or SERVERS):
        print(f"{server} …", file=sys.stderr)
        with TemporaryDirectory() as scratch:
            project = generate(
                Path(scratch), project_slug=SLUG, wsgi_server=server, python_version=OLDEST
            )
            if number == 0 and not servers:
                lock_shared(project)
            file = "server/requirements.txt"
            variant = FOLDER / "variants" / "wsgi_server" / server
            (variant / file).write_text(lock(project, file), encoding="utf-8")
    if servers:
        return
    for group, file in (
        ("test", "tests/requirements.txt"),
        ("scanner", "tests/tls/scanner.txt"),
        ("real", "tests/real/requirements.txt"),
    ):
        subprocess.run(
            [
                *("uv", "pip", "compile", "--group", group, "--universal"),
                *("--python-version", "3.11", "--generate-hashes", "--upgrade", "--quiet"),
                *("--output-file", file),
            ],
            cwd=ROOT,
            check=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
