"""Logs as JSON lines on standard output, each with the id of the request it belongs to."""

import errno
import io
import logging
import logging.config
import re
import sys
import time
from typing import Any, TextIO
from urllib.parse import quote
from uuid import uuid4

from flask import Flask, Response, g, has_request_context, request

if sys.platform != "win32":
    import fcntl

# What a trusted proxy gives; anything else is replaced, so that nobody can write log lines.
REQUEST_ID = re.compile(r"[\w@.-]{1,64}", re.ASCII)

# What stands for itself in a path (RFC 3986, 3.3).
PATH_CHARACTERS = "/!$&'()*+,;=:@"

access_log = logging.getLogger(f"{__package__}.access")


class ResponseFailed(Exception):
    """Ends a response that has begun; the reason is in the log already."""


class LineHandler(logging.StreamHandler[TextIO]):
    """Write each record in a line of its own.

    The processes of a container write to one pipe, which mixes lines of more than 4 KB. The lock is
    the pipe's own and belongs to a process; the threads of one have the handler's lock.
    """

    # Windows has no such locks, and runs one process.
    if sys.platform != "win32":

        @staticmethod
        def lock_pipe(file: int) -> None:
            """Wait for the lock; raise OSError on a system that locks no pipes."""
            while True:
                try:
                    return fcntl.lockf(file, fcntl.LOCK_EX)
                except OSError as error:
                    # Linux suspects a deadlock if a thread of the writing process waits for a
                    # file that this process has locked, as mod_wsgi's do. The writer goes on.
                    if error.errno != errno.EDEADLK:
                        raise
                    time.sleep(0.001)

        def emit(self, record: logging.LogRecord) -> None:
            """Write the record's line while no other process writes one."""
            try:
                line = memoryview(f"{self.format(record)}{self.terminator}".encode())
                self.stream.flush()  # what print() has begun
                try:
                    file = self.stream.fileno()
                    self.lock_pipe(file)
                except OSError:  # a stream in memory, or a system that locks no pipes
                    return super().emit(record)
                try:
                    while line:  # a signal may end a write early
                        line = line[self.stream.buffer.write(line) :]
                    self.stream.flush()
                finally:
                    fcntl.lockf(file, fcntl.LOCK_UN)
            except Exception:
                self.handleError(record)


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
                "()": LineHandler,
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
    # Each line in one write, or those of other threads and processes come between its parts.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
    logging.config.dictConfig(dict_config(level))


def init_app(app: Flask) -> None:
    """Give each request an id; where ACCESS_LOG is on, log each response, alike on every server."""

    @app.before_request
    def start() -> None:
        environ = request.environ
        given = environ.get("HTTP_X_REQUEST_ID", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        # For what fails once the context is gone.
        environ["request_id"] = g.request_id
        g.started = time.perf_counter()

    if app.config["ACCESS_LOG"]:
        app.after_request(log_response)


def log_response(response: Response) -> Response:
    """Log a response as the sidecar does, and the route too, which only the application knows."""
    # Health checks come every few seconds, for ever: they would drown the rest.
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
            "uri": uri,
            "route": request.url_rule and request.url_rule.rule,
            "status": response.status_code,
            # Not known of a stream.
            "bytes": response.content_length,
            "seconds": round(time.perf_counter() - g.started, 4),
        },
    )
    return response
