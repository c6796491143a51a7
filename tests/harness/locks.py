"""Refresh the pinned requirements in the template: `make locks`.

Each server's project is generated and locked by the commands that its own README gives, so that
what the template ships is what its users get when they lock again. With --check, nothing is
written, and a lock that its pyproject.toml would no longer give is reported.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from .template import FOLDER, PYTHON_VERSIONS, SERVERS, generate

OLDEST = min(PYTHON_VERSIONS, key=lambda version: [int(part) for part in version.split(".")])


def commands(readme: Path) -> list[list[str]]:
    """Return the locking commands that a generated README gives."""
    found = re.findall(r"^uv pip compile .*$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in found]


def main() -> None:
    """Lock every server's requirements, and copy the results into the template."""
    with TemporaryDirectory() as scratch:
        for server in SERVERS:
            # The oldest Python: a universal lock made for it serves the newer ones too.
            project = generate(
                Path(scratch), project_slug=f"lock-{server.replace('_', '-')}",
                wsgi_server=server, python_version=OLDEST,
            )
            for command in commands(project / "README.md"):
                print(f"{server}: {shlex.join(command)}", file=sys.stderr)
                subprocess.run([*command, "--quiet", "--upgrade"], cwd=project, check=True)
            for name in ("requirements.txt", "requirements-dev.txt"):
                copyfile(project / name, FOLDER / name)
            name = "server/requirements.txt"
            copyfile(project / name, FOLDER / "variants" / "wsgi_server" / server / name)


if __name__ == "__main__":
    main()
