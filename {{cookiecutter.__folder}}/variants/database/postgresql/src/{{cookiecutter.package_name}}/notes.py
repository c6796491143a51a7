"""An example to replace: a model, a view that reads it, and a command that writes it."""

from datetime import datetime

import click
from flask import Blueprint, Flask
from sqlalchemy import DateTime, func, select
from sqlalchemy.orm import Mapped, mapped_column

from .database import Model, db

blueprint = Blueprint("notes", __name__)


class Note(Model):
    """A short text."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


@blueprint.get("/notes")
def latest() -> list[dict[str, str]]:
    """Return the latest notes."""
    notes = db.session.scalars(select(Note).order_by(Note.id.desc()).limit(20))
    return [{"text": note.text, "created_at": note.created_at.isoformat()} for note in notes]


@blueprint.cli.command("add")
@click.argument("text")
def add(text: str) -> None:
    """Save a note."""
    db.session.add(Note(text=text))
    db.session.commit()


def init_app(app: Flask) -> None:
    """Add the view and the command."""
    app.register_blueprint(blueprint)
