"""A span for each statement of a traced request, without the values of the statement's parameters.

OpenTelemetry's package for SQLAlchemy does not support version 2.1, and writes the database's
messages into the spans: those about a violated constraint contain values.
"""

from typing import Any

from flask import Flask
from opentelemetry import trace
from sqlalchemy import event

from .database import db


def init_app(app: Flask) -> None:
    """Trace statements, if requests are traced."""
    if not (provider := app.extensions.get("tracer_provider")):
        return
    tracer = provider.get_tracer(__name__)
    with app.app_context():
        engine = db.engine

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_conn: Any, _cursor: Any, sql: str, _params: Any, context: Any, _many: bool) -> None:
        # Not those of commands, such as migrations: they would end later to send the spans.
        if trace.get_current_span().is_recording():
            attributes = {"db.system.name": "postgresql", "db.query.text": sql}
            name = "".join(sql.split(maxsplit=1)[:1])
            kind = trace.SpanKind.CLIENT
            context.span = tracer.start_span(name, kind=kind, attributes=attributes)

    @event.listens_for(engine, "after_cursor_execute")
    def end(_conn: Any, _cursor: Any, _sql: str, _params: Any, context: Any, _many: bool) -> None:
        if span := getattr(context, "span", None):
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(error: Any) -> None:
        if span := getattr(error.execution_context, "span", None):
            kind = type(error.original_exception).__name__
            span.set_status(trace.StatusCode.ERROR, kind)
            span.end()
