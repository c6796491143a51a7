"""Add packages to pyproject.toml, and pin all requirements with hashes. Needs uv.

python3 lock.py PACKAGE ...   adds packages; the other pins stay
python3 lock.py               pins what you have changed in pyproject.toml
python3 lock.py --upgrade     pins the latest version of everything
"""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PROJECT = FOLDER / "pyproject.toml"
# The version of the image. The pins are valid on every system and processor.
PYTHON = (FOLDER / ".python-version").read_text(encoding="utf-8").strip()
# Each file, and the requirements that it pins. Those of the application constrain the others.
PINNED = {
    "requirements.txt": "pyproject.toml",
    "server/requirements.txt": "--group server --constraint requirements.txt",
    "requirements-dev.txt": "--group dev --constraint requirements.txt",
}


def command(file: str) -> list[str]:
    """Return the command that pins the requirements in ``file``."""
    what = f"{PINNED[file]} --universal --python-version {PYTHON} --generate-hashes"
    return ["uv", "pip", "compile", *what.split(), "--output-file", file]


def add(packages: list[str]) -> None:
    """Add packages to the project's dependencies."""
    first = "\ndependencies = [\n"
    before, found, after = PROJECT.read_text(encoding="utf-8").partition(first)
    if not found:
        sys.exit("pyproject.toml has no line 'dependencies = [': add the packages yourself.")
    lines = "".join(f"    {json.dumps(package)},\n" for package in packages)
    PROJECT.write_text(before + first + lines + after, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Add the packages among the arguments, and pin everything. If this fails, change nothing."""
    options = [argument for argument in arguments if argument.startswith("-")]
    files = [PROJECT, *(FOLDER / file for file in PINNED)]
    before = {file: file.read_bytes() for file in files}
    if packages := [argument for argument in arguments if argument not in options]:
        add(packages)
    try:
        for file in PINNED:
            pin = [*command(file), "--quiet", *options]
            subprocess.run(pin, cwd=FOLDER, check=True)  # noqa: S603 (typed by the owner)
    except (OSError, subprocess.CalledProcessError) as error:
        for changed, content in before.items():
            changed.write_bytes(content)
        missing = isinstance(error, FileNotFoundError)
        sys.exit("Install uv: https://docs.astral.sh/uv/" if missing else "Nothing was changed.")


if __name__ == "__main__":
    main(sys.argv[1:])
