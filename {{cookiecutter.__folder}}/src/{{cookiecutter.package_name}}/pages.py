"""The pages that people see."""

from flask import Blueprint, current_app, render_template

from . import seen

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """Show the front page; where Flask debugs, in development, with what is seen here."""
    return render_template("index.html", facts=seen.facts() if current_app.debug else [])
