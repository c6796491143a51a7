"""The command line: python3 -m tests.engine up|env|status|down."""

import argparse
import os
import shlex
import sys

from . import EngineError, ensure, environment, private
from .client import Docker
from .images import recipes
from .progress import say, step


def up(images: list[str]) -> None:
    """Make sure that an engine runs and has these images."""
    env = ensure(images)
    which = "the private one" if env else "your own"
    say(f"ready: Docker engine ({which})" + "".join(f", {image}" for image in images))


def show_environment() -> None:
    """Print the shell commands that make docker use this engine."""
    env = environment()
    if env is None:
        raise EngineError("no Docker engine responds: run 'python3 -m tests.engine up' first")
    for name, value in env.items():
        # The caller's shell may have another PATH than this process.
        added, caller, _ = value.partition(f":{os.environ.get('PATH')}")
        print(
            f"export {name}={shlex.quote(added)}"
            + (':"$PATH"' if name == "PATH" and caller else "")
        )


def status() -> None:
    """Print the engine in use and its stand-ins."""
    env = environment()
    if env is None:
        raise EngineError("no Docker engine responds: 'python3 -m tests.engine up' starts one")
    version = Docker(env).run("version", "--format", "{{.Server.Version}}").stdout.strip()
    print(f"Docker engine {version}: {f'private, in {private.FOLDER}' if env else 'your own'}")
    stand_ins = Docker(env).run(
        *("image", "ls", "--filter=dangling=false", "--filter=label=stand-in"),
        *(
            "--format={{.Repository}}:{{.Tag}}",
            *(f"--filter=reference={name}" for name in recipes()),
        ),
    )
    print(f"stand-ins: {', '.join(sorted(stand_ins.stdout.split())) or 'none'}")


def down() -> None:
    """Stop the private engine."""
    if environment() == {}:
        say("the Docker engine in use is your own: it was left alone")
    with private.lock(), step("stopping the private Docker engine"):
        stopped = private.stop()
    if not stopped:
        say("no private Docker engine was running")


def main() -> int:
    """Run one command; a failure prints one line with the fix."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help=up.__doc__).add_argument("images", nargs="*", metavar="IMAGE")
    commands.add_parser("env", help=show_environment.__doc__)
    commands.add_parser("status", help=status.__doc__)
    commands.add_parser("down", help=down.__doc__)
    options = parser.parse_args()
    try:
        match options.command:
            case "up":
                up(options.images)
            case "env":
                show_environment()
            case "status":
                status()
            case "down":
                down()
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
