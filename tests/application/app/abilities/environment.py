"""Where an application runs: folders, settings, time zone, encodings, limits, Python itself."""

import atexit
import locale
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Blueprint
from probed import config

from . import output

blueprint = Blueprint("environment", __name__)
STARTED_IN = str(Path.cwd())


def at_exit() -> None:
    print("printed at exit")
    logging.getLogger("atexit").info("logged at exit")


atexit.register(at_exit)
# Set signal handlers, as libraries do to clean up. A server may replace them. Processes of views
# and of multiprocessing must not have them: SIGTERM would not stop these processes.
if multiprocessing.current_process().name == "MainProcess" and sys.argv[0] != "-c":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)


@blueprint.get("/folders")
def folders() -> dict[str, object]:
    """Return the working, home and temporary folders; write to the last two."""
    for folder in (Path.home(), tempfile.gettempdir()):
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"text")
    return {
        "at import": STARTED_IN,
        "working": str(Path.cwd()),
        "home": str(Path.home()),
        "temporary": tempfile.gettempdir(),
    }


@blueprint.get("/time")
def local_time() -> dict[str, str]:
    """Return one moment in local time, from two modules, and in another time zone."""
    moment = datetime.fromtimestamp(0, UTC)
    return {
        "time": time.strftime("%H:%M %z", time.localtime(0)),
        "datetime": moment.astimezone().isoformat(),
        "zoneinfo": moment.astimezone(ZoneInfo("America/New_York")).isoformat(),
    }


@blueprint.get("/encodings")
def encodings() -> dict[str, object]:
    """Return the encodings, and non-ASCII text after use as file name, content and argument."""
    text = "Grüße-世界-🐍"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, text).write_text(text)  # in the locale's encoding
        (name,) = (os.fsencode(file.name) for file in Path(folder).iterdir())
        content = Path(folder, text).read_bytes()
    child = subprocess.run(
        [str(shutil.which("python")), "-c", "import sys; print(sys.argv[1])", text],
        stdout=subprocess.PIPE,
        check=True,
    )
    return {
        "written": [part.decode() for part in (name, content, child.stdout.strip())],
        "encodings": [
            encoding.lower()
            for encoding in (
                sys.getfilesystemencoding(),
                locale.getpreferredencoding(),
                sys.stdout.encoding,
                sys.stderr.encoding,
            )
        ],
    }


@blueprint.get("/modes")
def modes() -> dict[str, str]:
    """Return the modes that a new file and a new folder get."""
    with tempfile.TemporaryDirectory() as folder:
        file, inner = Path(folder, "file"), Path(folder, "folder")
        file.touch()
        inner.mkdir()
        return {path.name: f"{path.stat().st_mode & 0o7777:o}" for path in (file, inner)}


@blueprint.get("/variables")
def variables() -> dict[str, str]:
    """Return the environment."""
    return dict(os.environ)


@blueprint.get("/limits")
def limits() -> dict[str, list[int]]:
    """Return this process's resource limits."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: list(resource.getrlimit(getattr(resource, name))) for name in names}


@blueprint.get("/python")
def python() -> dict[str, object]:
    """Return the running Python, and the project's files that were imported more than once."""
    modules: dict[str, set[int]] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith("/app/"):
            modules.setdefault(file, set()).add(id(module))
    return {
        "prefix": sys.prefix,
        "program": shutil.which("python"),
        "imported twice": [file for file, found in modules.items() if len(found) > 1],
        "as imported": [
            sys.modules["probed.config"] is config,
            sys.modules["abilities.output"] is output,
            "__main__" in sys.modules,
        ],
        "arguments": bool(sys.argv) and all(isinstance(each, str) for each in sys.argv),
    }
