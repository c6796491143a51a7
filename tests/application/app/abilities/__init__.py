"""The test application: its views use the features of Flask applications, one module per group.

Each view uses one feature completely and returns the result as JSON. A test compares it with the
result of plain Python.
"""

from importlib import import_module
from pathlib import Path

from flask import Flask

# Import the modules and their libraries at import time, as applications do.
MODULES = {
    file.stem: import_module(f"{__name__}.{file.stem}")
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py"))
}


def init_app(app: Flask) -> None:
    """Register the blueprint of each module of this package, below /<module>/."""
    for name, module in MODULES.items():
        app.register_blueprint(module.blueprint, url_prefix=f"/{name}")
