"""Replaces the project's wsgi.py: its application with more views and a recorder."""

import recorder

from . import create_app

app = create_app()
app.register_blueprint(recorder.blueprint)
app.wsgi_app = recorder.Recorder(app.wsgi_app)
