"""Progress messages on stderr, and a log file for each long step."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineError

HEARTBEAT = 20  # seconds between messages that a step is still running
TAIL = 15  # number of log lines shown after a failure

_begin = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the start."""
    print(f"[{time.monotonic() - _begin:4.0f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print the start of a step, regularly that it is still running, and its duration."""
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
    """Run a command with its output in a log; if it fails, show the log's tail and raise."""
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
        raise EngineError(f"{failure} (status {status}); its output is in {log}")
