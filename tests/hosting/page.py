"""Runs the commands of a platform's page, with stand-ins for programs that need a cloud."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.lib.readme import commands

# Records its arguments, and its standard input if one of the arguments is "-".
STAND_IN = """#!/usr/bin/env bash
name=$(basename "$0")
here=$(dirname "$0")
printf '%q ' "$name" "$@" >> "$here/calls"
echo >> "$here/calls"
case " $* " in *" - "*) cat > "$here/stdin-$1-$2" ;; esac
case " $* " in
ANSWERS
esac
"""


class Followed:
    """The result of running a page's commands."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
        self.calls = [shlex.split(line) for line in lines]
        self.folder = folder

    def calls_of(self, *words: str) -> list[list[str]]:
        """Return the calls that begin with these words."""
        return [call for call in self.calls if call[: len(words)] == list(words)]

    def piped(self, *words: str) -> str:
        """Return the standard input of the command that begins with these two words."""
        return (self.folder / f"stdin-{'-'.join(words)}").read_text(encoding="utf-8")


def follow(
    page: Path,
    project: Path,
    folder: Path,
    answers: Mapping[str, dict[str, str]] = MappingProxyType({}),
    *,
    heading: str | None = None,
    **variables: str,
) -> Followed:
    """Run the page's commands in the project's folder, one after the other in one shell.

    Runs all of them, or those under one heading. ``answers`` defines a stand-in for each program,
    which is written to ``folder``: shell patterns of arguments, and the command to run for each. By
    default docker is the real command without a registry: pushes do nothing, and builds use the
    base images that the engine has.
    """
    docker = shutil.which("docker")
    build = 'set -- "$1" "$2" "${@:4}"'  # without --pull
    programs = {
        "docker": {
            "*' push '*": ":",
            "*' compose build --pull '*": f'{build}; exec {docker} "$@"',
            "*": f'exec {docker} "$@"',
        },
        **answers,
    }
    folder.mkdir(exist_ok=True)
    (folder / "calls").touch()
    for name, cases in programs.items():
        lines = [f"    {pattern}) {action} ;;" for pattern, action in cases.items()]
        file = folder / name
        file.write_text(STAND_IN.replace("ANSWERS", "\n".join(lines)), encoding="utf-8")
        file.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands(page, heading)],
        cwd=project,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page}:\n{done.stdout}{done.stderr}"
    return Followed(folder)
