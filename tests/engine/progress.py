"""Progress messages on stderr, and a log file for each long step."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineError

HEARTBEAT = 20  # seconds of silence before a step says that it is still alive
TAIL = 15  # lines of a log that a failure shows

_begin = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the beginning."""
    print(f"[{time.monotonic() - _begin:4.0f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a step, show now and then that it is not dead, and say how long it took."""
    begin = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT):
            say(f"… still {text} ({time.monotonic() - begin:.0f} s)")

    say(text)
    pulse = threading.Thread(target=beat, daemon=True)
    pulse.start()
    try:
        yield
    finally:
        done.set()
        pulse.join()
    say(f"{text}: took {time.monotonic() - begin:.1f} s")


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    | {line}" for line in lines[-TAIL:])


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str],
    failure: str,
    cwd: Path | None = None,
) -> None:
    """Run a command with its output in a log; when it fails show the log's tail and raise."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        status = subprocess.run(
            ["/usr/bin/env", *command],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status:
        print(tail(log), file=sys.stderr)
        raise EngineError(f"{failure} (status {status}); everything it said is in {log}")
