"""Pin the newest releases of all requirements, with hashes: `make locks`.

`make locks SERVER=name` pins that server's alone, and leaves the others as they are.

Each server's project is generated and locked by the commands that its own README gives, so that
what the template ships is what its users get when they lock again.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .template import FOLDER, PYTHON_VERSIONS, ROOT, SERVERS, generate

# A universal lock made for the oldest Python serves the newer ones too.
OLDEST = min(PYTHON_VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
SLUG = "locked-project"


def commands(readme: Path) -> dict[str, list[str]]:
    """Return the locking commands that a generated README gives, by the file that each writes."""
    lines = re.findall(r"^uv pip compile .*$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return {command[command.index("--output-file") + 1]: command for command in found}


def lock(project: Path, file: str, into: Path) -> None:
    """Run the project's command for ``file``, and put the result, as a template, into a folder.

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
    (into / file).write_text(text.replace(" --upgrade --quiet", ""), encoding="utf-8")


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
                lock(project, "requirements.txt", FOLDER)
                lock(project, "requirements-dev.txt", FOLDER)
            lock(project, "server/requirements.txt", FOLDER / "variants" / "wsgi_server" / server)
    if servers:
        return
    for group, file in (
        ("test", "tests/requirements.txt"),
        ("scanner", "tests/overlays/scanner.txt"),
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
