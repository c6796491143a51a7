"""The test application: views that use what a Flask application may use, one module a group.

Each view does one thing in full and returns what came of it as JSON, so that a test compares it
with what Python does in a process of its own.
"""

from importlib import import_module
from pathlib import Path

from flask import Flask

# At import, as an application's own modules are, and with them the libraries that they use.
MODULES = {
    file.stem: import_module(f"{__name__}.{file.stem}")
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py"))
}


def init_app(app: Flask) -> None:
    """Register the blueprint of each module beside this one, below /<module>/."""
    for name, module in MODULES.items():
        app.register_blueprint(module.blueprint, url_prefix=f"/{name}")
