"""Responses from files: each way to send one, and checks for files that are left open."""

import gzip
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from flask import Blueprint, Response, request, send_file, send_from_directory, stream_with_context
from werkzeug.wsgi import wrap_file

blueprint = Blueprint("files", __name__)

SAMPLES = Path("/samples")
PIECE = 64 * 1024


def from_path(name: str) -> Response:
    return send_file(SAMPLES / name, mimetype="text/plain")


def from_directory(name: str) -> Response:
    return send_from_directory(SAMPLES, name)


def from_object(name: str) -> Response:
    return send_file((SAMPLES / name).open("rb"), mimetype="text/plain")


def from_memory(name: str) -> Response:
    return send_file(BytesIO((SAMPLES / name).read_bytes()), mimetype="text/plain")


def as_attachment(name: str) -> Response:
    return send_file(SAMPLES / name, as_attachment=True, download_name="Übersicht „1“ 日本.csv")


def by_wrapper(name: str) -> Response:
    file = wrap_file(request.environ, (SAMPLES / name).open("rb"))
    return Response(file, direct_passthrough=True)


def without_first_line(name: str) -> Response:
    """Send the rest of a file after reading its first line."""
    file = (SAMPLES / name).open("rb")
    file.readline()
    return send_file(file, mimetype="text/plain")


def unpacked(name: str) -> Response:
    """Send a file object that returns other bytes than the underlying file."""
    return send_file(gzip.open(SAMPLES / f"{name}.gz"), mimetype="text/plain")


def pieces(name: str) -> Iterator[bytes]:
    with (SAMPLES / name).open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def by_generator(name: str) -> Response:
    return Response(pieces(name))


def with_context(name: str) -> Response:
    """Stream with the request's context, which the last line shows."""

    def body() -> Iterator[bytes]:
        yield from pieces(name)
        yield request.args.get("last", "").encode()

    return Response(stream_with_context(body()))


WAYS: dict[str, Callable[[str], Response]] = {
    "path": from_path,
    "directory": from_directory,
    "object": from_object,
    "memory": from_memory,
    "attachment": as_attachment,
    "wrapper": by_wrapper,
    "rest": without_first_line,
    "unpacked": unpacked,
    "generator": by_generator,
    "context": with_context,
}


@blueprint.get("/send/<way>/<name>")
def send(way: str, name: str) -> Response:
    """Send a sample."""
    return WAYS[way](name)


class Counted:
    """A body that appends to a file whenever it is closed."""

    def __init__(self, mark: Path, name: str) -> None:
        self.mark = mark
        self.pieces = pieces(name)

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        """Count the call, and close the underlying file."""
        self.pieces.close()
        with self.mark.open("ab") as file:
            file.write(b".")


@blueprint.get("/counted/<mark>/<name>")
def counted(mark: str, name: str) -> Response:
    """Stream a sample with a body that counts how often it is closed."""
    return Response(Counted(Path("/tmp") / mark, name))


@blueprint.delete("/counted/<mark>")
def count(mark: str) -> dict[str, int]:
    """Return how often the body was closed, and reset the counter."""
    file = Path("/tmp") / mark
    found = file.stat().st_size if file.exists() else 0
    file.unlink(missing_ok=True)
    return {"closed": found}


def processes() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


@blueprint.get("/open")
def open_samples() -> list[str]:
    """Return which samples are open, in any process of this container."""
    found = []
    for process in processes():
        try:
            descriptors = list((process / "fd").iterdir())
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # ended meanwhile
        for descriptor in descriptors:
            try:
                target = descriptor.readlink()
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue  # closed meanwhile
            if target.is_relative_to(SAMPLES):
                found.append(target.name)
    return found


@blueprint.route("/peak", methods=["GET", "DELETE"])
def peak() -> dict[str, int]:
    """Return the sum of the processes' peak memory; DELETE resets the peaks."""
    found = 0
    for process in processes():
        if request.method == "DELETE":
            (process / "clear_refs").write_text("5")
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                found += int(line.split()[1]) * 1024
    return {"bytes": found}
