"""The database: connections and their limits, and responses when it is unavailable."""

import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, MetaData, exc, make_url, text
from sqlalchemy.orm import DeclarativeBase
from werkzeug.exceptions import ServiceUnavailable

from .config import ConfigError, number

logger = logging.getLogger(__name__)


class Model(DeclarativeBase):
    """The base class of all models."""

    # PostgreSQL's own names of constraints, so that migrations can name what they drop.
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        }
    )


db = SQLAlchemy(model_class=Model)


def database_url() -> URL:
    """Return DATABASE_URL; if it has no password, with that in DATABASE_PASSWORD_FILE.

    Raises ConfigError. The message does not contain the URL, because of the password.
    """
    url = None
    with suppress(exc.ArgumentError, ValueError):
        url = make_url(os.environ.get("DATABASE_URL", ""))
    if url is None or not url.drivername.startswith("postgres"):
        raise ConfigError(
            "DATABASE_URL must be like postgresql://USER:PASSWORD@HOST/NAME. Special characters in "
            "the password must be percent-encoded."
        )
    file = os.environ.get("DATABASE_PASSWORD_FILE", "")
    if file and url.password is None:
        try:
            url = url.set(password=Path(file).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"DATABASE_PASSWORD_FILE names {file}, which cannot be read: {error}."
            ) from error
    return url.set(drivername="postgresql+psycopg")


def conninfo(url: URL) -> str:
    """Return what a URL says, in the format of psycopg itself."""
    parts: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
    return make_conninfo(**parts | dict(url.query))


def pool_size(app: Flask) -> int:
    """Return the most connections that requests of one process may use."""
    threads = number(os.environ, "WEB_THREADS", default=8)
    default = 10 if app.config["GREENLETS"] else threads
    # SQLAlchemy would take 0 for no limit.
    return max(1, number(os.environ, "DATABASE_POOL_SIZE", default=default))


def engine_options(size: int, limit: int) -> dict[str, Any]:
    """Return options with which a request fails before ``limit``, the proxy's REQUEST_TIMEOUT.

    It waits a sixth of that for a connection, a sixth to open it and half of it for a statement.
    """
    short = max(2, limit // 6)
    # In milliseconds. A transaction that waits for the application holds locks: limit it too.
    server_limits = {
        "statement_timeout": limit * 500,
        "idle_in_transaction_session_timeout": limit * 1000,
    }
    return {
        "pool_size": size,
        # More connections under load would be too many for the database.
        "max_overflow": 0,
        "pool_timeout": short,
        # Replace connections that were closed in the meantime, for example by a restart.
        "pool_pre_ping": True,
        # Exceptions are logged and traced with their statements, but without the values.
        "hide_parameters": True,
        "connect_args": {
            "connect_timeout": short,
            # Give up a connection to a host that has disappeared.
            "keepalives_idle": short,
            "tcp_user_timeout": limit * 500,
            "options": " ".join(f"-c {name}={value}" for name, value in server_limits.items()),
        },
    }


def check_limit(connection: Connection) -> None:
    """Check that the database allows all connections of all processes and replicas.

    Raises ConfigError with the settings to change: otherwise, requests would fail under load.
    """
    allowed = connection.scalar(
        text(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
            " - coalesce(current_setting('reserved_connections', true)::int, 0)"
        )
    )
    one = current_app.config["ONE_PROCESS"]
    processes = 1 if one else int(os.environ.get("WEB_CONCURRENCY") or 1)
    replicas = number(os.environ, "APP_REPLICAS", default=1)
    # One more than the pool, for health checks.
    each = pool_size(current_app) + 1
    if replicas * processes * each > allowed:
        raise ConfigError(
            f"{replicas} replicas with {processes} processes with {each} connections need more "
            f"than the {allowed} that the database allows. Lower APP_REPLICAS, WEB_CONCURRENCY, "
            "WEB_THREADS or DATABASE_POOL_SIZE, or raise the database's max_connections."
        )


class Probe:
    """Finds out whether the database accepts connections, at most once a second.

    It opens a connection of its own. Those of the pool may all be in use, which is no reason to
    take this replica out of service, and a statement on one of them could take longer.
    """

    def __init__(self, url: URL) -> None:
        self.conninfo = conninfo(url)
        self.lock = threading.Lock()
        self.expires = 0.0
        self.available = False

    def __call__(self) -> bool:
        """Return whether it does."""
        with self.lock:
            if time.monotonic() > self.expires:
                try:
                    psycopg.connect(self.conninfo, connect_timeout=2).close()
                    self.available = True
                except psycopg.Error as error:
                    logger.warning("The database is unavailable: %s", error)
                    self.available = False
                self.expires = time.monotonic() + 1
        return self.available


def is_available() -> bool:
    """Return whether the database accepts connections; within about two seconds."""
    probe: Probe = current_app.extensions["database_probe"]
    return probe()


def unavailable(error: Exception) -> ResponseReturnValue:
    """Respond with the page of 503: the database fails or is too slow, or no connection is free."""
    # Not str(error), which contains the statement with its values.
    logger.error("The database is unavailable: %s", getattr(error, "orig", error))
    return current_app.handle_http_exception(ServiceUnavailable(retry_after=5))


def init_app(app: Flask) -> None:
    """Prepare the connections. The first one is opened when a request needs it."""
    url = database_url()
    limit = number(os.environ, "REQUEST_TIMEOUT", default=30)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(pool_size(app), limit)
    db.init_app(app)
    # Alembic reports each of its plugins when it is imported.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    from flask_migrate import Migrate  # type: ignore[import-untyped]

    # "Batch" migrations are for SQLite.
    Migrate(app, db, Path(__file__).with_name("migrations"), render_as_batch=False)
    app.extensions["database_probe"] = Probe(url)
    app.register_error_handler(exc.OperationalError, unavailable)
    app.register_error_handler(exc.TimeoutError, unavailable)
    with app.app_context():
        engine = db.engine
    if hasattr(os, "register_at_fork"):  # not on Windows
        # A forked process opens its own connections, and leaves its parent's open.
        os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
