"""Pin the newest releases of all requirements, with hashes: `make locks`.

`make locks SERVER=name` pins only that server's requirements.

Each server's project is generated and locked with the commands of its lock.py, so that the template
contains the same lock that a user gets.
"""

import shlex
import subprocess
import sys
from itertools import groupby
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


def with_options(text: str, optional: dict[str, str]) -> str:
    """Add the packages that only some options need, each under a Jinja condition for its option.

    Raises SystemExit when an option changes pins of the lock without options.
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
    # Adjacent packages share a condition: each condition makes the generation of projects slower.
    for condition, names in groupby(sorted(blocks), conditions.__getitem__):
        group = "".join(blocks[name] for name in names)
        text += f"{condition}\n{group}{{%- endif %}}\n" if condition else group
    return text


def lock_shared(project: Path) -> None:
    """Lock the requirements that all projects share, including the packages of each option."""
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
