"""What happens around a view: contexts, hooks, cookies, what PEP 3333 allows."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import (
    Blueprint,
    Response,
    after_this_request,
    g,
    make_response,
    request,
    session,
    stream_with_context,
)
from flask.blueprints import BlueprintSetupState

blueprint = Blueprint("lifecycle", __name__)


# --- Contexts ---


@blueprint.get("/context/<name>")
def context(name: str) -> Response:
    """Stream values of request, g and session for some time after the view returned."""
    g.name = name
    session["name"] = name

    def parts() -> Iterator[str]:
        for _ in range(5):
            yield f"{request.args['name']} {g.name} {session['name']}\n"
            time.sleep(0.02)

    return Response(stream_with_context(parts()), mimetype="text/plain")


@blueprint.get("/isolated/<name>")
def isolated(name: str) -> dict[str, object]:
    """Return the contexts' values before and after other requests could change theirs."""
    before = [g.get("name"), session.get("name")]
    g.name = session["name"] = name
    time.sleep(0.05)
    return {"before": before, "after": [g.name, session["name"], request.args["name"]]}


# --- Hooks ---


def notes(token: str) -> Path:
    """Return the file with a request's executed hooks, which all processes can read."""
    return Path(f"/tmp/notes-{token}")


def note(what: str, token: str | None = None) -> None:
    """Record that a hook ran for the current request."""
    if token := token or g.get("token"):
        with notes(token).open("a") as file:
            file.write(f"{what}\n")


@blueprint.route("/notes/<token>", methods=["GET", "DELETE"])
def show_notes(token: str) -> list[str]:
    """Return the hooks that ran for a request; DELETE removes the record."""
    found = notes(token).read_text().split() if notes(token).exists() else []
    if request.method == "DELETE":
        notes(token).unlink()
    return found


@blueprint.teardown_request
def tear_request_down(_: BaseException | None) -> None:
    note("teardown_request")
    if g.get("fails") == "teardown":
        raise RuntimeError(g.token)


def tear_context_down(_: BaseException | None) -> None:
    note("teardown_appcontext")


@blueprint.after_request
def fail_after_the_view(response: Response) -> Response:
    if g.get("fails") == "after_request":
        raise RuntimeError(g.token)
    return response


@blueprint.route("/hooks/<body>/<fails>/<token>", methods=["GET", "HEAD"])
def hooks(body: str, fails: str, token: str) -> Response:
    """Respond with a body of this kind and fail in this place; record each hook that runs."""
    g.token, g.fails = token, fails
    note("view")

    @after_this_request
    def after(response: Response) -> Response:
        note("after_this_request")
        return response

    if fails == "view":
        raise RuntimeError(token)

    def parts() -> Iterator[bytes]:
        try:
            if fails == "first":
                raise RuntimeError(token)
            yield b"begun\n"
            if fails == "later":
                time.sleep(0.1)  # until it has been sent
                raise RuntimeError(token)
            if body == "endless":
                for _ in range(600):
                    yield b"x" * 1000
                    time.sleep(0.02)
        finally:
            note("generator", token)

    if body == "generator":
        response = Response(parts())
    elif body in ("context", "endless"):
        response = Response(stream_with_context(parts()))
    else:
        response = Response(b"" if body in ("empty", "204") else b"whole\n")
    if body in ("204", "304"):
        response.status_code = int(body)
    response.call_on_close(lambda: note("call_on_close", token))
    return response


# --- Cookies ---


@blueprint.get("/cookies/<int:count>/<int:size>")
def cookies(count: int, size: int) -> Response:
    """Return the received cookies, and set ``count`` cookies of this size."""
    response = make_response(dict(request.cookies))
    for number in range(count):
        response.set_cookie(f"cookie-{number}", f"{number}-".ljust(size, "x"))
    return response


@blueprint.get("/session/<int:size>")
def sessions(size: int) -> dict[str, object]:
    """Return the length of the session's value, and set a value of this size."""
    length = len(session.get("value", ""))
    session["value"] = "".join(chr(65 + number * number % 53) for number in range(size))
    return {"length": length}


# --- WSGI ---


class Part(bytes):
    """A subclass of bytes."""


class Sized:
    """An iterable with a length and without close()."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)


class Closed(Sized):
    """An iterable with a length and with close(), which is recorded."""

    def __init__(self, token: str, *parts: bytes) -> None:
        super().__init__(*parts)
        self.token = token

    def close(self) -> None:
        note("close", self.token)


HEADERS = [("Content-Type", "text/plain"), ("X-Kind", "wsgi")]


def writes(start_response: StartResponse, _: str) -> Iterable[bytes]:
    write = start_response("200 OK", HEADERS)
    write(b"one ")
    write(b"two ")
    return [b"three"]


def writes_only(start_response: StartResponse, _: str) -> Iterable[bytes]:
    write = start_response("200 OK", HEADERS)
    write(b"one two three")
    return []


def twice(start_response: StartResponse, _: str) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    try:
        raise RuntimeError
    except RuntimeError as error:
        exc_info = type(error), error, error.__traceback__
        start_response("503 Service Unavailable", HEADERS, exc_info)
    return [b"one two three"]


def late_start(start_response: StartResponse, _: str) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    yield b"one two three"


def simple(parts: Iterable[bytes]) -> Callable[[StartResponse, str], Iterable[bytes]]:
    def application(start_response: StartResponse, _: str) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return parts

    return application


def closed(start_response: StartResponse, token: str) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return Closed(token, b"one ", b"two ", b"three")


def with_length(start_response: StartResponse, token: str) -> Iterable[bytes]:
    start_response("200 OK", [*HEADERS, ("Content-Length", "13")])
    return Closed(token, b"one ", b"two ", b"three")


def long_reason(start_response: StartResponse, _: str) -> Iterable[bytes]:
    start_response("299 Something of its own", HEADERS)
    return [b"one two three"]


def many_headers(start_response: StartResponse, _: str) -> Iterable[bytes]:
    start_response("200 OK", [*HEADERS, *(("X-Same", str(number)) for number in range(20))])
    return [b"one two three"]


def latin(start_response: StartResponse, _: str) -> Iterable[bytes]:
    start_response("200 OK", [*HEADERS, ("X-Latin", "d\xe9j\xe0 vu")])
    return [b"one two three"]


RAW = {
    "list": simple([b"one ", b"two ", b"three"]),
    "tuple": simple((b"one two three",)),
    "bytes-subclass": simple([Part(b"one two three")]),
    "sized": simple(Sized(b"one ", b"two ", b"three")),
    "closed": closed,
    "length": with_length,
    "empty-parts": simple([b"", b"", b"one ", b"", b"two three", b""]),
    "late-start": late_start,
    "write": writes,
    "write-only": writes_only,
    "start-twice": twice,
    "reason": long_reason,
    "many-headers": many_headers,
    "latin": latin,
}


class Raw:
    """WSGI middleware that responds to /lifecycle/wsgi/ without Flask."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        before, found, rest = environ["PATH_INFO"].partition("/lifecycle/wsgi/")
        if before or not found:
            return self.app(environ, start_response)
        kind, _, token = rest.partition("/")
        return RAW[kind](start_response, token)


@blueprint.record
def mount(state: BlueprintSetupState) -> None:
    state.app.teardown_appcontext(tear_context_down)
    state.app.wsgi_app = Raw(state.app.wsgi_app)
