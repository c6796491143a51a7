"""The application as Flask's documentation gives it to a server that takes a file."""

from hello import create_app

application = create_app()
