"""Takes the place of the project's own wsgi.py: its application, with a few views, recorded."""

import recorder

from . import create_app

app = create_app()
app.register_blueprint(recorder.blueprint)
app.wsgi_app = recorder.Recorder(app.wsgi_app)
