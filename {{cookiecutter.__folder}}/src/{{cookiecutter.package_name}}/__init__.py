"""The Flask application; create_app() builds it from the environment."""

import os
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from flask import Flask
from flask.helpers import get_debug_flag

from . import assets, boundary, config, development, failures, headers, health, logs, pages
from .drain import DrainBody
from .sessions import SessionInterface


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Build the application from ``environ``, by default the environment of the process.

    Raises config.ConfigError if a setting is missing or invalid, so that a misconfigured container
    stops at startup instead of sending wrong responses.
    """
    settings = config.from_environment(environ)
    log = development.configure_logs if get_debug_flag() else logs.configure
    log(settings["LOG_LEVEL"])

    app = Flask(__name__)
    app.config.from_file(Path(__file__).with_name("about.toml"), load=tomllib.load, text=False)
    app.config.from_mapping(settings)

    app.session_interface = SessionInterface()
    # Innermost, so that its error responses pass through the other middleware too.
    failures.init_app(app)
    app.wsgi_app = DrainBody(  # type: ignore[method-assign]
        app.wsgi_app, settings["MAX_CONTENT_LENGTH"]
    )
    # The log's hook runs first, so that rejected requests are logged. The boundary is outermost.
    logs.init_app(app)
    headers.init_app(app)
    boundary.init_app(app)
    assets.init_app(app)
    development.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    for part in app.config["PARTS"]:
        import_module(f".{part}", __name__).init_app(app)
    return app
