"""Takes the place of the project's own wsgi.py, to add the probe's views to its application."""

import probe

from . import create_app

app = create_app()
app.register_blueprint(probe.blueprint)
