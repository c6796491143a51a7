"""Pin the newest releases of all requirements, with hashes: `make locks`.

`make locks SERVER=name` pins that server's alone, and leaves the others as they are.

Each server's project is generated and locked by the commands that its own README gives, so that
what the template ships is what its users get when they lock again.
"""

import re
import shlex
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from .template import FOLDER, OPTIONS, PYTHON_VERSIONS, ROOT, SERVERS, generate

# A universal lock made for the oldest Python serves the newer ones too.
OLDEST = min(PYTHON_VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
SLUG = "locked-project"


def commands(readme: Path) -> dict[str, list[str]]:
    """Return the locking commands that a generated README gives, by the file that each writes."""
    lines = re.findall(r"^uv pip compile .*$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return {command[command.index("--output-file") + 1]: command for command in found}


def lock(project: Path, file: str) -> str:
    """Run the project's command for ``file``, and return the result as a template.

    uv's comments name the project and its Python; they become Cookiecutter's variables again.
    """
    command = [*commands(project / "README.md")[file], "--upgrade", "--quiet"]
    print(shlex.join(command), file=sys.stderr)
    subprocess.run(command, cwd=project, check=True)
    text = (project / file).read_text(encoding="utf-8")
    text = text.replace(f"via {SLUG} (", "via {{ cookiecutter.project_slug }} (")
    text = text.replace(
        f"--python-version {OLDEST} ", "--python-version {{ cookiecutter.python_version }} "
    )
    return text.replace(" --upgrade --quiet", "")


def pins(text: str) -> dict[str, str]:
    """Return a lock's lines about each package, by its name."""
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {block.split("==")[0]: block for block in blocks[1:]}


def with_options(text: str, optional: dict[str, str]) -> str:
    """Add what only the locks of some options have, on the condition of their questions' answers.

    Raises SystemExit when an option changes what is in the lock without it.
    """
    plain = pins(text)
    blocks = dict(plain)
    conditions = dict.fromkeys(plain, "")
    for question, lock_with_it in optional.items():
        more = pins(lock_with_it)
        if changed := [name for name in plain if more.get(name) != plain[name]]:
            raise SystemExit(f"The option {question} changes the pins of {', '.join(changed)}.")
        condition = f'{{%- if cookiecutter.{question} == "{OPTIONS[question]}" %}}'
        for name in more.keys() - plain.keys():
            blocks[name] = more[name]
            conditions[name] = condition
    text = text[: text.index(next(iter(plain.values())))]
    # Neighbours share a condition: every one costs time whenever a project is generated.
    for condition, names in groupby(sorted(blocks), conditions.__getitem__):
        group = "".join(blocks[name] for name in names)
        text += f"{condition}\n{group}{{%- endif %}}\n" if condition else group
    return text


def lock_shared(project: Path) -> None:
    """Lock what every project needs, the packages of each option among it."""
    optional = {}
    for question, answer in OPTIONS.items():
        with TemporaryDirectory() as scratch:
            choices = {"project_slug": SLUG, "python_version": OLDEST, question: answer}
            optional[question] = lock(generate(Path(scratch), **choices), "requirements.txt")
    text = with_options(lock(project, "requirements.txt"), optional)
    (FOLDER / "requirements.txt").write_text(text, encoding="utf-8")
    text = lock(project, "requirements-dev.txt")
    (FOLDER / "requirements-dev.txt").write_text(text, encoding="utf-8")


def main(servers: list[str]) -> None:
    """Lock what all projects share, then each server's requirements, then the tests' own tools.

    With ``servers``, lock only theirs.
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
        ("scanner", "tests/overlays/scanner.txt"),
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
