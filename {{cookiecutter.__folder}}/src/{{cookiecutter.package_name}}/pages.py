"""The pages for people."""

from flask import Blueprint, current_app, render_template

from . import diagnostics

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """Show the front page, with diagnostics in debug mode."""
    facts = diagnostics.facts() if current_app.debug else []
    return render_template("index.html", facts=facts, package=__package__)
