"""Runs migrations for "flask db": by one process at a time, and completely or not at all."""

import logging
import time
from importlib import import_module
from pathlib import Path

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

logger = logging.getLogger(__name__)
# Alembic runs this file outside the package, whose name the application need not have.
database = import_module(f"{Path(__file__).parents[1].name}.database")

# A statement may take long. But it must not wait long for a lock, because requests that need the
# same table would wait behind it.
SETTINGS = text(
    "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '5s', false),"
    " set_config('idle_in_transaction_session_timeout', '0', false)"
)
# Any number. Processes that migrate the same database lock it.
LOCK = text("SELECT pg_try_advisory_lock(2749301846)")


def wait_for_others(connection: Connection) -> None:
    """Wait until no other process migrates this database.

    It tries again and again: a process that waits within a transaction would block CREATE INDEX
    CONCURRENTLY of another one.
    """
    while not connection.scalar(LOCK):
        connection.commit()
        logger.info("Another process migrates the database: waiting")
        time.sleep(1)
    connection.commit()


def run() -> None:
    """Run the migrations of the command."""
    with database.db.engine.connect() as connection:
        # Not back to the pool: closing it ends the lock and the settings.
        connection.detach()
        database.check_limit(connection)
        connection.execute(SETTINGS)
        wait_for_others(connection)
        options = current_app.extensions["migrate"].configure_args
        context.configure(connection, target_metadata=database.Model.metadata, **options)
        with context.begin_transaction():
            context.run_migrations()


try:
    run()
except OperationalError as error:
    raise CommandError(f"The database was not migrated: {error.orig}") from error
