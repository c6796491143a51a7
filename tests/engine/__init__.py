"""A Docker engine and base images for the tests.

Where Docker works it is used as it is. On a Debian machine without it a private engine is put into
the user's cache folder, and where no registry can be reached stand-ins for the base images are
built from Debian's packages. See README.md in this folder.
"""

from collections.abc import Iterable

from . import client, images, private
from .errors import EngineError

__all__ = ["EngineError", "ensure", "environment"]


def environment() -> dict[str, str] | None:
    """Say which environment variables reach the engine that answers now.

    Empty when it is the user's own engine; None when no engine answers.
    """
    if client.answers():
        return private.environment() if private.is_chosen_by_caller() else {}
    return private.environment() if private.answers() else None


def ensure(wanted: Iterable[str] = ()) -> dict[str, str]:
    """Make sure that an engine runs and has the wanted images: start, pull, build what is missing.

    Returns the environment variables to set for docker commands: none when the user's own engine is
    used. Raises EngineError, whose text is one line that says what is wrong and what to do.
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
