"""Views that use the database. The tests copy this module into a project's package."""

import os
import signal

from flask import Blueprint, Flask
from sqlalchemy import func, select, text

from .database import db
from .notes import Note

blueprint = Blueprint("trial", __name__, url_prefix="/trial")
PROCESS = text("SELECT pg_backend_pid()")


@blueprint.get("/echo/<name>")
def echo(name: str) -> str:
    """Respond without the database."""
    return name


@blueprint.get("/write/<name>")
def write(name: str) -> str:
    """Write a row."""
    db.session.add(Note(text=name))
    db.session.commit()
    return name


@blueprint.get("/count/<name>")
def count(name: str) -> str:
    """Read the number of rows."""
    return str(db.session.scalar(select(func.count()).where(Note.text == name)))


@blueprint.get("/wait/<float:seconds>/<name>")
def wait(seconds: float, name: str) -> str:
    """Wait in the database."""
    db.session.execute(select(func.pg_sleep(seconds)))
    return name


@blueprint.get("/hold/<float:seconds>/<name>")
def hold(seconds: float, name: str) -> str:
    """Write a row in a transaction that takes long."""
    db.session.add(Note(text=name))
    db.session.flush()
    print(f"trial: holds {name}")
    db.session.execute(select(func.pg_sleep(seconds)))
    db.session.commit()
    return name


@blueprint.get("/fail/<name>")
def fail(name: str) -> str:
    """Raise an exception within a transaction."""
    db.session.add(Note(text=name))
    db.session.flush()
    raise ValueError(name)


@blueprint.get("/die/<name>")
def die(name: str) -> str:
    """Kill this process within a transaction."""
    db.session.add(Note(text=name))
    db.session.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    return name


@blueprint.get("/fork")
def fork() -> dict[str, int]:
    """Return which of the database's processes serve this one, before and after, and a fork."""
    with db.engine.connect() as kept:
        before = kept.scalar(PROCESS)
        read, write = os.pipe()
        forked = os.fork()
        if not forked:
            with db.engine.connect() as connection:
                os.write(write, str(connection.scalar(PROCESS)).encode())
            os._exit(0)
        os.waitpid(forked, 0)
        inside = int(os.read(read, 20))
        os.close(read)
        os.close(write)
        return {"before": before, "inside": inside, "after": kept.scalar(PROCESS)}


def init_app(app: Flask) -> None:
    """Add the views."""
    app.register_blueprint(blueprint)
