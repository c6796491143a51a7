"""Replaces the project's wsgi.py and adds the probe's views to its application."""

import probe
import recorder

from . import create_app

app = create_app()
app.register_blueprint(probe.blueprint)
app.register_blueprint(recorder.blueprint)
app.wsgi_app = recorder.Recorder(app.wsgi_app)
