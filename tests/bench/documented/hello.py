"""A Flask application with the measured views and nothing else, as Flask's documentation has it."""

import bench
from flask import Flask


def create_app() -> Flask:
    """Return the application."""
    made = Flask(__name__)
    made.register_blueprint(bench.blueprint)
    return made


app = create_app()
