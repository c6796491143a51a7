"""The pages for people."""

from flask import Blueprint, current_app, render_template
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from . import diagnostics

# An application that replaces create_app() may have a templates folder elsewhere.
blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.get("/")
def index() -> str:
    """Show the front page, with diagnostics in debug mode."""
    facts = diagnostics.facts() if current_app.debug else []
    return render_template("index.html", facts=facts, package=__package__)


@blueprint.app_errorhandler(HTTPException)
def show_error(error: HTTPException) -> Response:
    """Show an error of any view as a page, with the error's own status and headers."""
    response = error.get_response()
    if error.response is None:
        response.set_data(render_template("error.html", error=error))
    return response
