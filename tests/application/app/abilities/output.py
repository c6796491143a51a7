"""What an application writes: records, printed lines, warnings, tracebacks."""

import faulthandler
import logging
import shutil
import subprocess
import sys
import threading
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, current_app, g, request

blueprint = Blueprint("output", __name__)
library = logging.getLogger("library.part")
library.warning("logged at import")

TEXTS = [
    "Grüße, 世界, שלום, 🐍 and e\u0301",
    "lone surrogates: \ud800 and \udcff",
    "controls: \x00 \x07 \x1b[31m \x7f \x85",
    'lines:\none\r\ntwo\u2028three\rfour "quoted" \\ and { }',
    "",
]
PARTS = ["é" * 10] * 20
# Four processes, forked after the logs are configured, like the workers of some servers. In each, a
# thread waits for a file lock of another process. The kernel must not see a deadlock in that.
BURST = """
import fcntl, logging, os, sys, tempfile, threading, time
from probed import logs

def lock_a_file():
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
        except OSError as error:
            print(error, file=sys.stderr)
            os._exit(1)
        time.sleep(0.001)
        fcntl.lockf(file, fcntl.LOCK_UN)

logs.configure("INFO")
token, lines, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
file = tempfile.TemporaryFile()
print("ready", file=sys.stderr)
forked = []
for writer in "abcd":
    if process := os.fork():
        forked.append(process)
        continue
    threading.Thread(target=lock_a_file, daemon=True).start()
    for number in range(lines):
        logging.info("%s", f"{token} {writer} {number:03} ".ljust(size, "x"))
    os._exit(0)
os._exit(any(os.waitpid(process, 0)[1] for process in forked))  # without printing at exit
"""


@blueprint.get("/record/<int:size>")
def record(size: int) -> dict[str, object]:
    """Log a record of ``size`` bytes; return the id of the request."""
    current_app.logger.info("x" * size)
    return {"request_id": g.request_id}


@blueprint.get("/texts")
def texts() -> dict[str, object]:
    """Log each of the TEXTS, and return them."""
    for text in TEXTS:
        library.info("%s", text)
    return {"request_id": g.request_id, "texts": TEXTS}


@blueprint.get("/extra")
def extra() -> dict[str, object]:
    """Log with extra fields."""
    library.info(
        "extra",
        extra={
            "number": 1.5,
            "when": datetime(2030, 1, 2, tzinfo=UTC),
            "nested": {"path": Path("/é"), "bytes": b"\xff", "set": {1}},
        },
    )
    return {"request_id": g.request_id}


@blueprint.get("/exception")
def exception() -> dict[str, object]:
    """Log a traceback of many lines."""

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        else:
            raise ValueError("first\nsecond: é")

    try:
        fail(9)
    except ValueError:
        current_app.logger.exception("several\nlines")
    return {"request_id": g.request_id}


@blueprint.get("/burst")
def burst() -> dict[str, object]:
    """Log ``?lines=`` of ``?size=`` bytes from four other processes and two threads of this one."""
    token, lines, size = request.args["token"], request.args["lines"], int(request.args["size"])
    program = [str(shutil.which("python")), "-c", BURST, token, lines, str(size)]
    logger = current_app.logger

    def log(writer: str) -> None:
        for number in range(int(lines)):
            logger.info("%s", f"{token} {writer} {number:03} ".ljust(size, "x"))

    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as others:
        next(line for line in others.stderr if line == "ready\n")
        threads = [threading.Thread(target=log, args=(writer,)) for writer in "ef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"exit": others.returncode}


@blueprint.get("/print")
def printed() -> dict[str, object]:
    """Print ``?lines=`` lines of several parts to both streams."""
    token = request.args["token"]
    for number in range(int(request.args["lines"])):
        for stream in (sys.stdout, sys.stderr):
            print(token, number, *PARTS, file=stream)
    return {}


@blueprint.get("/streams")
def streams() -> dict[str, object]:
    """Write to both streams in all possible ways."""
    token = request.args["token"]
    for stream in (sys.stdout, sys.stderr):
        stream.write(f"{token} write: é 🐍\n")
        stream.writelines([f"{token} lines", ": one\n"])
        stream.buffer.write(f"{token} bytes: é\n".encode())
        stream.flush()
    warnings.warn(f"{token} warned", stacklevel=1)
    try:
        raise ValueError(f"{token} printed")
    except ValueError:
        traceback.print_exc()
    thread = threading.Thread(target=fail_in_a_thread, args=(token,))
    thread.start()
    thread.join()
    return {}


@blueprint.get("/faulthandler")
def dump() -> dict[str, object]:
    """Write all threads' tracebacks, as in a crash: in several writes and without a lock."""
    faulthandler.dump_traceback(file=sys.stderr)
    return {}


def fail_in_a_thread(token: str) -> None:
    raise ValueError(f"{token} in a thread")
