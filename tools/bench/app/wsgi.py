"""A replacement for the project's wsgi.py that adds the measured views."""

import bench

from . import create_app

app = create_app()
app.register_blueprint(bench.blueprint)
