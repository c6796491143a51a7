"""Takes the place of the project's own wsgi.py, to add the views that are measured."""

import bench

from . import create_app

app = create_app()
app.register_blueprint(bench.blueprint)
