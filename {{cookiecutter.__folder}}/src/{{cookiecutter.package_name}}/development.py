"""For development: readable log lines instead of JSON, and restarts that fail no request."""

import atexit
import logging
import logging.config
import os
import secrets
import sys
import threading
from typing import Any

import click
from flask import Flask
from flask.helpers import get_debug_flag
from werkzeug.serving import BaseWSGIServer

from . import logs

serve_forever = BaseWSGIServer.serve_forever
COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


class TextFormatter(logging.Formatter):
    """Formats a record as a line of text, in colour on a terminal. A traceback follows the line."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {message} {request_id}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:
        if hasattr(record, "duration_us"):  # the line of a request
            record.message += f" in {record.duration_us / 1000:.0f} ms"
        # Flask's server colours its messages for a terminal, whether or not this is one.
        text = click.unstyle(super().formatMessage(record)).rstrip()
        return click.style(text, COLOURS.get(record.levelname)) if sys.stdout.isatty() else text


def keep_server_message(record: logging.LogRecord) -> bool:
    """Drop the line that Flask's server logs for each request: the application logs one too.

    In a container, the server knows only addresses that browsers cannot reach.
    """
    record.msg = record.msg.removeprefix(" * ")
    if "Running on" in record.msg and (url := os.environ.get("DEVELOPMENT_URL")):
        record.msg = f"Running on {url}"
    return " - - [" not in record.msg


def configure_logs(level: str) -> None:
    """Write the records of all loggers to standard output, from ``level`` up."""
    config = logs.dict_config(level)
    config["formatters"]["json"] = {"()": TextFormatter}
    logging.config.dictConfig(config)
    logging.getLogger("werkzeug").addFilter(keep_server_message)


class Connections:
    """The open connections of Flask's server, each with one request.

    Flask's server exits when a module changes. The requests that it has accepted must complete
    first: otherwise, the proxy would respond to them with 502.
    """

    def __init__(self, server: BaseWSGIServer) -> None:
        self.count = 0
        self.changed = threading.Condition()
        self.process, self.close = server.process_request, server.shutdown_request
        server.process_request = self.begin  # type: ignore[method-assign,assignment]
        server.shutdown_request = self.end  # type: ignore[method-assign,assignment]

    def begin(self, connection: Any, address: Any) -> None:
        """Count a connection from the moment when it is accepted, before its thread starts."""
        self.add(1)
        self.process(connection, address)

    def end(self, connection: Any) -> None:
        """Close a connection after its response."""
        self.close(connection)
        self.add(-1)

    def add(self, number: int) -> None:
        """Change the number of open connections."""
        with self.changed:
            self.count += number
            self.changed.notify_all()

    def wait(self) -> None:
        """Wait until no connection is open, at most one second: streams may be endless."""
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0, timeout=1)


def serve_until_exit(server: BaseWSGIServer, poll_interval: float = 0.1) -> None:
    """Serve like Flask's server, but complete the accepted requests before the process exits.

    The next process accepts the connections that wait: it inherits the listening socket.
    """
    # The last registered function is the first to be called.
    atexit.register(Connections(server).wait)
    atexit.register(server.shutdown)
    serve_forever(server, poll_interval)


def init_app(_: Flask) -> None:
    """In debug mode, make restarts of Flask's server go unnoticed."""
    if get_debug_flag():
        # The same PIN for the debugger after each restart.
        os.environ.setdefault("WERKZEUG_DEBUG_PIN", f"{secrets.randbelow(10**9):09}")
        BaseWSGIServer.serve_forever = serve_until_exit  # type: ignore[assignment,method-assign]
