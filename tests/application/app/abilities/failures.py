"""Failures: exceptions of every kind, in every place where an application's code runs."""

import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, abort, g, request
from werkzeug.exceptions import Gone

blueprint = Blueprint("failures", __name__)


class OwnError(BaseException):
    """Not a subclass of Exception, like the timeouts of some libraries."""


class MishandledError(Exception):
    """An exception whose handler fails too."""


@blueprint.errorhandler(MishandledError)
def mishandle(error: MishandledError) -> str:
    raise RuntimeError(*error.args)


def fail(kind: str, token: str) -> None:
    """Raise an exception of this kind, with the token as its message."""
    match kind:
        case "exit":
            sys.exit(token)
        case "warning":
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.warn(token, stacklevel=1)
        case "recursion":
            try:
                recurse()
            except RecursionError as error:
                error.args = (token,)
                raise
        case "abort":
            abort(410, token)
        case "http":
            raise Gone(token)
    raise {
        "exception": RuntimeError,
        "interrupt": KeyboardInterrupt,
        "generator-exit": GeneratorExit,
        "stop-iteration": StopIteration,
        "memory": MemoryError,
        "base": OwnError,
        "os": ConnectionResetError,
        "mishandled": MishandledError,
    }[kind](token)


def recurse() -> None:
    """Recurse until Python raises an exception."""
    recurse()


@blueprint.get("/process")
def process() -> dict[str, float]:
    """Return when the responding process was started, and the time now: seconds since the boot."""
    # Field 22 of proc_pid_stat(5), counted from the end of the program's name.
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    started = ticks / os.sysconf("SC_CLK_TCK")
    return {"started": started, "now": time.clock_gettime(time.CLOCK_BOOTTIME)}


@blueprint.get("/view/<kind>/<token>")
def view(kind: str, token: str) -> str:
    """Fail in the view."""
    fail(kind, token)
    return "not reached"


@blueprint.get("/generator/<kind>/<token>")
@blueprint.get("/generator/<kind>/<int:after>/<token>")
def generator(kind: str, token: str, after: int = 0) -> Response:
    """Fail in a generator after this number of parts."""

    def parts() -> Iterator[bytes]:
        for _ in range(after):
            yield b"part\n"
            time.sleep(0.03)  # until it has been sent
        fail(kind, token)

    return Response(parts())


@blueprint.get("/<any(before, after, teardown, close):place>/<kind>/<token>")
def elsewhere(place: str, kind: str, token: str) -> Response:
    """Fail before the view, in after_request, in teardown_request or when the response closes."""
    g.fails = place, kind, token
    response = Response("whole\n")
    if place == "close":
        response.call_on_close(lambda: fail(kind, token))
    return response


@blueprint.before_request
def before() -> None:
    arguments = request.view_args or {}
    if arguments.get("place") == "before":
        fail(arguments["kind"], arguments["token"])


@blueprint.after_request
def after(response: Response) -> Response:
    place, kind, token = g.get("fails", ("", "", ""))
    if place == "after":
        fail(kind, token)
    return response


@blueprint.teardown_request
def teardown(_: BaseException | None) -> None:
    place, kind, token = g.get("fails", ("", "", ""))
    if place == "teardown":
        fail(kind, token)


# --- Deep recursion in C, which overflows a small stack ---


class Nested:
    """An object whose repr() and comparison recurse through C."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return repr([self.inner])

    def __lt__(self, other: "Nested") -> bool:
        return sorted([self.inner, other.inner]) == [self.inner, other.inner]


def nested(depth: int) -> Nested:
    found = Nested(0)
    for _ in range(depth):
        found = Nested(found)
    return found


def nested_list(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth):
        found = [found]
    return found


DEEP = {
    "json-loads": lambda: json.loads("[" * 100_000 + "]" * 100_000),
    "json-dumps": lambda: json.dumps(nested_list(100_000)),
    "repr": lambda: repr(nested(100_000)),
    "compare": lambda: sorted([nested(100_000), nested(100_000)]),
    "equal": lambda: nested_list(100_000) == nested_list(100_000),
    "compile": lambda: compile("-" * 100_000 + "1", "deep", "eval"),
}


@blueprint.get("/deep/<kind>")
def deep(kind: str) -> dict[str, str]:
    """Recurse in C until Python raises an exception; return its name."""
    try:
        DEEP[kind]()
    except Exception as error:
        return {"raised": type(error).__name__}
    return {"raised": ""}


@blueprint.post("/json")
def parse() -> dict[str, str]:
    """Parse a client's JSON of any depth with Flask."""
    try:
        request.get_json()
    except RecursionError:
        return {"raised": "RecursionError"}
    return {"raised": ""}
