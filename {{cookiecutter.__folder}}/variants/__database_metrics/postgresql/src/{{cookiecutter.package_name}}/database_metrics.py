"""Metrics of the database: how many of its connections the requests of each process use."""

from typing import Any

from flask import Flask
from prometheus_client import Gauge
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from .database import db, pool_size

in_use = Gauge(
    "database_connections_in_use",
    "Connections that requests of this process use.",
    multiprocess_mode="all",
)
limit = Gauge(
    "database_connections_limit",
    "The most connections that requests of one process may use.",
    multiprocess_mode="max",
)


def count(_connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
    """Count a connection that was taken from the pool."""
    entry.info["counted"] = True
    in_use.inc()


def uncount(_connection: Any, entry: ConnectionPoolEntry) -> None:
    """Do the opposite. One that could not be replaced returns without having been counted."""
    if entry.info.pop("counted", False):
        in_use.dec()


def init_app(app: Flask) -> None:
    """Follow the pool. The number may be left from a killed process: it begins at 0."""
    limit.set(pool_size(app))
    in_use.set(0)
    with app.app_context():
        engine = db.engine
    event.listen(engine, "checkout", count)
    event.listen(engine, "checkin", uncount)
    event.listen(engine, "detach", uncount)
