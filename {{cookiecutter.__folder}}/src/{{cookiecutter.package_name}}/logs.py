"""Logs as JSON lines on standard output, each with its request id."""

import io
import logging
import logging.config
import os
import re
import sys
import time
from typing import Any, TextIO
from urllib.parse import quote
from uuid import uuid4
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, g, has_request_context, request

# A valid request id from a trusted proxy. Others are replaced, so that nobody can forge log lines.
REQUEST_ID = re.compile(r"[\w@.-]{1,64}", re.ASCII)

# Characters that need no escape in a path (RFC 3986, 3.3).
PATH_CHARACTERS = "/!$&'()*+,;=:@"

access_log = logging.getLogger(f"{__package__}.access")

if sys.platform != "win32":
    import fcntl

    lock = os.open(__file__, os.O_RDONLY)

    def reopen_lock() -> None:
        """Open the file again in a forked process: the lock belongs to an open file.

        Locks of lockf() would belong to a process. But with those, the kernel looks for deadlocks
        and reports one where an application waits for a lock of its own.
        """
        global lock
        os.close(lock)
        lock = os.open(__file__, os.O_RDONLY)

    os.register_at_fork(after_in_child=reopen_lock)


class ResponseFailed(Exception):
    """Cuts off a response that has started. The reason has already been logged."""


class LineHandler(logging.StreamHandler[TextIO]):
    """Write each record as one whole line.

    All processes of a container write to one pipe, which can mix lines longer than 4 KB. A lock on
    this file keeps the processes apart; the handler's own lock does so for threads.
    """

    # Windows has no such locks, but only one process.
    if sys.platform != "win32":

        def emit(self, record: logging.LogRecord) -> None:
            """Write the record's line while no other process does."""
            try:
                line = memoryview(f"{self.format(record)}{self.terminator}".encode())
                self.stream.flush()  # text that print() has buffered
                try:
                    self.stream.fileno()
                    fcntl.flock(lock, fcntl.LOCK_EX)
                except OSError:  # a stream in memory, or a file system without locks
                    return super().emit(record)
                try:
                    while line:  # a signal may end a write early
                        line = line[self.stream.buffer.write(line) :]
                    self.stream.flush()
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
            except Exception:
                self.handleError(record)


class RequestIdFilter(logging.Filter):
    """Add ``request_id`` to records without it. It is empty outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = getattr(g, "request_id", "") if has_request_context() else ""
        # Drop servers' records of a failure that was logged here. Some contain it only as text.
        failure = str(record.exc_info[1:2] if record.exc_info else record.msg)
        return ResponseFailed.__name__ not in failure


def dict_config(level: str) -> dict[str, Any]:
    """Return the configuration for logging.config.dictConfig(). Servers use it too."""
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
                "()": LineHandler,
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["request_id"],
            }
        },
        # The root's handler is the only one. Servers would add others for their own loggers.
        "loggers": {},
        "root": {"level": level, "handlers": ["stdout"]},
    }


def configure(level: str) -> None:
    """Write the records of all loggers to standard output, from ``level`` up."""
    # Write printed lines in one piece, so that lines of other threads do not get between.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
    logging.config.dictConfig(dict_config(level))


def request_id(environ: WSGIEnvironment) -> str:
    """Return a request's id: that of a trusted proxy, or a new one.

    ``environ`` keeps it, for failures outside of the request context.
    """
    known: str | None = environ.get("request_id")
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = environ["request_id"] = given if REQUEST_ID.fullmatch(given) else uuid4().hex
    return known


def init_app(app: Flask) -> None:
    """Give each request an id. With ACCESS_LOG, log each response."""

    @app.before_request
    def start() -> None:
        g.request_id = request_id(request.environ)
        g.started = time.perf_counter()

    if app.config["ACCESS_LOG"]:
        app.after_request(log_response)


def log_response(response: Response) -> Response:
    """Log a response like the sidecar, with the route, which only the application knows."""
    # Health checks come every few seconds and would hide the other lines.
    level = logging.DEBUG if request.blueprint == "health" else logging.INFO
    # Both may be missing (PEP 3333).
    path = request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", "")
    uri = quote(path.encode("latin-1"), safe=PATH_CHARACTERS)
    if request.query_string:
        uri += "?" + quote(request.query_string, safe=PATH_CHARACTERS + "?%")
    access_log.log(
        level,
        "%s %s %s",
        request.method,
        uri,
        response.status_code,
        extra={
            "client": request.remote_addr,
            "method": request.method,
            "host": request.environ.get("HTTP_HOST", ""),
            "uri": uri,
            "route": request.url_rule and request.url_rule.rule,
            "protocol": request.environ.get("SERVER_PROTOCOL", ""),
            "status": response.status_code,
            # None for a stream.
            "bytes": response.content_length,
            "duration_us": round((time.perf_counter() - g.started) * 1_000_000),
            "user_agent": request.user_agent.string,
            "referrer": request.referrer or "",
        },
    )
    return response
