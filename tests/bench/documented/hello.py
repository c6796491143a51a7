"""The application by the name that Flask's documentation gives it."""

import importlib
import os

app = importlib.import_module(os.environ["PACKAGE"] + ".wsgi").app


def create_app():
    """Return the measured application, which is built once."""
    return app
