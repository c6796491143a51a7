"""Replaces the project's wsgi.py and adds the measured views."""

import bench

from . import create_app

app = create_app()
app.register_blueprint(bench.blueprint)
