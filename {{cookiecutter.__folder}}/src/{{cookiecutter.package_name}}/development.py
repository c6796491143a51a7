"""Readable log lines for development, instead of JSON."""

import logging
import logging.config
import os
import sys

import click

from . import logs

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
