"""A Flask application with only the measured views, as in Flask's documentation."""

import bench
from flask import Flask


def create_app() -> Flask:
    """Return the application."""
    made = Flask(__name__)
    made.register_blueprint(bench.blueprint)
    return made


app = create_app()
