"""OpenTelemetry traces: a span for each request, sent to OTEL_EXPORTER_OTLP_ENDPOINT.

The OTEL_* settings: https://opentelemetry.io/docs/languages/sdk-configuration/
"""

import os
from typing import Any

from flask import Flask, g
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def init_app(app: Flask) -> None:
    """Trace all requests except health checks, if there is an endpoint for the spans.

    Each worker process builds its own application and so has its own exporter thread.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    app.extensions["tracer_provider"] = provider
    FlaskInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls="/health/", request_hook=name_request
    )


def name_request(span: trace.Span, environ: dict[str, Any]) -> None:
    """Add the request id of the logs to a span."""
    span.set_attribute("request.id", g.request_id)
