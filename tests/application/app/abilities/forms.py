"""Requests with bodies: forms, uploads, JSON, streams; sessions, cookies and temporary files."""

import hashlib
import os
import tempfile
from pathlib import Path

from flask import Blueprint, Response, request, session
from werkzeug.datastructures import FileStorage

blueprint = Blueprint("forms", __name__)


@blueprint.post("/fields")
def fields() -> list[tuple[str, str]]:
    """Return the fields of a form, in order."""
    return list(request.form.items(multi=True))


def uploaded(field: str, file: FileStorage, data: bytes) -> dict[str, object]:
    return {
        "field": field,
        "name": file.filename,
        "type": file.content_type,
        "length": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


@blueprint.post("/files")
def files() -> list[dict[str, object]]:
    """Return the properties of the uploaded files."""
    return [uploaded(field, file, file.read()) for field, file in request.files.items(multi=True)]


@blueprint.post("/saved")
def saved() -> list[dict[str, object]]:
    """Save the uploaded files, and return the properties of the saved files."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (field, file) in enumerate(request.files.items(multi=True)):
            target = Path(folder) / str(number)
            file.save(target)
            found.append(uploaded(field, file, target.read_bytes()))
    return found


@blueprint.post("/json")
def as_json() -> Response:
    """Return the text that was sent as JSON."""
    return Response(request.get_json(), mimetype="text/plain")


@blueprint.post("/stream/<int:size>")
def stream(size: int) -> dict[str, object]:
    """Read the body in pieces of this size, or by lines if it is 0."""
    digest = hashlib.sha256()
    pieces = request.stream if size == 0 else iter(lambda: request.stream.read(size), b"")
    longest = length = 0
    for piece in pieces:
        digest.update(piece)
        length += len(piece)
        longest = max(longest, len(piece))
    return {"length": length, "longest": longest, "sha256": digest.hexdigest()}


@blueprint.get("/temporary")
def temporary() -> dict[str, object]:
    """Use each kind of temporary file; return whether the content is right, and leftovers."""
    data = os.urandom(100_000)
    same = []
    with tempfile.NamedTemporaryFile() as named, tempfile.TemporaryFile() as unnamed:
        named.write(data)
        named.flush()
        same.append(Path(named.name).read_bytes() == data)
        unnamed.write(data)
        unnamed.seek(0)
        same.append(unnamed.read() == data)
    with tempfile.SpooledTemporaryFile(max_size=1000) as spooled:
        spooled.write(data)
        spooled.seek(0)
        same.append(spooled.read() == data)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").write_bytes(data)
        same.append((Path(folder) / "data").read_bytes() == data)
    descriptor, name = tempfile.mkstemp()
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    same.append(Path(name).read_bytes() == data)
    Path(name).unlink()
    left = [path for path in (named.name, folder, name) if Path(path).exists()]
    return {"same": same, "left": left}


@blueprint.get("/tmp")
def used() -> dict[str, int]:
    """Return the used space of /tmp, including deleted open files, and its size."""
    place = os.statvfs("/tmp")
    return {
        "used": (place.f_blocks - place.f_bfree) * place.f_frsize,
        "size": place.f_blocks * place.f_frsize,
    }


@blueprint.post("/session")
def remember() -> dict[str, object]:
    """Keep a form's fields in the session."""
    session.update(request.form.items())
    return dict(session)


@blueprint.get("/session")
def remembered() -> dict[str, object]:
    """Return what is in the session."""
    return dict(session)


@blueprint.get("/cookies")
def cookies() -> Response:
    """Return the cookies, and set some of each kind."""
    response = Response(repr(sorted(request.cookies.items())))
    for number in range(20):
        response.set_cookie(f"cookie-{number}", f"value {number}; ü", max_age=60, httponly=True)
    response.set_cookie("long", "x" * 3000, samesite="Strict")
    response.delete_cookie("gone")
    return response
