"""The pages that people see."""

from flask import Blueprint, render_template

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """Show the front page."""
    return render_template("index.html")
