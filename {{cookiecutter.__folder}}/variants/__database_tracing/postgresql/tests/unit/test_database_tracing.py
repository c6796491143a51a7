import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text


@pytest.fixture
def traced(make_app, package, monkeypatch):
    """Return an application that sends spans, and a function that returns them by name."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(f"{package.__name__}.tracing.OTLPSpanExporter", lambda: exporter)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid")
    app = make_app()

    def spans():
        app.extensions["tracer_provider"].shutdown()
        return {span.name: span for span in exporter.get_finished_spans()}

    return app, spans


def test_a_statement_is_a_span_below_that_of_its_request(traced, database):
    app, spans = traced

    @app.get("/view")
    def view():
        database.db.session.execute(text("SELECT :value"), {"value": "private"})
        return ""

    app.test_client().get("/view")
    request, statement = spans()["GET /view"], spans()["SELECT"]
    assert statement.parent.span_id == request.context.span_id
    assert statement.attributes["db.query.text"].startswith("SELECT %(value)s")
    assert "private" not in statement.to_json()


def test_a_failed_statement_is_a_span_without_the_message(traced, database):
    app, spans = traced

    @app.get("/view")
    def view():
        insert = text("INSERT INTO alembic_version VALUES (:value)")
        for _ in range(2):
            database.db.session.execute(insert, {"value": "private"})

    assert app.test_client().get("/view").status_code == 500
    statement = spans()["INSERT"]
    assert statement.status.description == "UniqueViolation"
    assert "private" not in statement.to_json()


def test_statements_without_a_request_are_not_traced(traced, database):
    app, spans = traced
    with app.app_context():
        database.db.session.execute(text("SELECT 1"))
    assert spans() == {}
