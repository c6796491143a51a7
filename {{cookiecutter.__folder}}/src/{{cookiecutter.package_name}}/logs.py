"""Logs as JSON lines on standard output, each with the id of the request it belongs to."""

import logging
import logging.config
import re
import time
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g, has_request_context, request

from .failures import ResponseFailed

# What a trusted proxy gives; anything else is replaced, so that nobody can write log lines.
REQUEST_ID = re.compile(r"[\w@.-]{1,64}", re.ASCII)

access_log = logging.getLogger(f"{__package__}.access")


class RequestIdFilter(logging.Filter):
    """Add ``request_id`` to every record that has none, empty outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = getattr(g, "request_id", "") if has_request_context() else ""
        # Not a server's line about a failure that is logged already; some have it as text alone.
        failure = str(record.exc_info[1:2] if record.exc_info else record.msg)
        return ResponseFailed.__name__ not in failure


def dict_config(level: str) -> dict[str, Any]:
    """Return the configuration for logging.config.dictConfig(), which servers take too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": ["levelname", "name", "message", "request_id"],
                "timestamp": "time",
                "rename_fields": {"levelname": "level", "name": "logger"},
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["request_id"],
            }
        },
        # Servers bring handlers for their own loggers; without them all reaches the root.
        "loggers": {},
        "root": {"level": level, "handlers": ["stdout"]},
    }


def configure(level: str) -> None:
    """Send every logger of this process to standard output, from ``level`` up."""
    logging.config.dictConfig(dict_config(level))


def init_app(app: Flask) -> None:
    """Give each request an id, and log each answer: alike on every server."""

    @app.before_request
    def start() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        # For what fails once the context is gone.
        request.environ["request_id"] = g.request_id
        g.started = time.perf_counter()

    @app.after_request
    def log(response: Response) -> Response:
        # Health checks come every few seconds, for ever: they would drown the rest.
        level = logging.DEBUG if request.blueprint == "health" else logging.INFO
        access_log.log(
            level,
            "%s %s %s",
            request.method,
            request.path,
            response.status_code,
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "client": request.remote_addr,
                "seconds": round(time.perf_counter() - g.started, 4),
            },
        )
        return response
