"""The Flask application; create_app() builds it from the environment."""

import os
import tomllib
from collections.abc import Mapping
from importlib import import_module

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from . import config, health, logs, pages
from .drain import DrainBody
from .sessions import SessionInterface


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Build the application from ``environ``, by default the process's own.

    Raises config.ConfigError when a setting is missing or makes no sense, so that a
    misconfigured container stops at once instead of answering wrongly.
    """
    settings = config.from_environment(environ)
    logs.configure(settings["LOG_LEVEL"])

    app = Flask(__name__)
    app.config.from_file("about.toml", load=tomllib.load, text=False)
    app.config.from_mapping(settings)

    # The proxy is the only way in, so what it says of the client is believed, and nothing else is.
    # The port stays 0: the proxy knows its own port only, which need not be the published one.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        DrainBody(app.wsgi_app, settings["MAX_CONTENT_LENGTH"]),
        x_for=settings["FORWARDED_FOR_HOPS"],
        x_proto=settings["FORWARDED_PROTO_HOPS"],
        x_host=settings["FORWARDED_HOST_HOPS"],
        x_port=0,
        x_prefix=settings["FORWARDED_PREFIX_HOPS"],
    )

    app.session_interface = SessionInterface()
    logs.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pages.blueprint)
    for part in app.config["PARTS"]:
        import_module(f".{part}", __name__).init_app(app)
    return app
