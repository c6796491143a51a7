"""The application for a server that loads a file, as in Flask's documentation."""

from hello import create_app

application = create_app()
