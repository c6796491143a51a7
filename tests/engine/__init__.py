"""A Docker engine and base images for the tests.

If Docker works, it is used unchanged. On a Debian machine without it, a private engine is unpacked
into the user's cache folder. If no registry can be reached, stand-ins for the base images are built
from Debian packages. See README.md in this folder.
"""

from collections.abc import Iterable

from . import client, images, private
from .errors import EngineError

__all__ = ["EngineError", "ensure", "environment"]


def environment() -> dict[str, str] | None:
    """Return the environment variables for the engine that responds now.

    Empty for the user's own engine; None when no engine responds.
    """
    if client.answers():
        return private.environment() if private.is_chosen_by_caller() else {}
    return private.environment() if private.answers() else None


def ensure(wanted: Iterable[str] = ()) -> dict[str, str]:
    """Make sure that an engine runs and has the wanted images: start, pull, build what is missing.

    Returns the environment variables to set for docker commands: empty for the user's own engine.
    Raises EngineError with the problem and how to fix it, in one line.
    """
    wanted = list(dict.fromkeys(wanted))
    env = environment()
    if env is None:
        with private.lock():
            # Another process may have started it while this one waited for the lock.
            env = environment()
            if env is None:
                private.start()
                env = private.environment()
    elif not env:
        client.check_plugins()
    docker = client.Docker(env)
    if images.missing(docker, wanted):
        with private.lock():
            images.provide(docker, images.missing(docker, wanted))
    return env
