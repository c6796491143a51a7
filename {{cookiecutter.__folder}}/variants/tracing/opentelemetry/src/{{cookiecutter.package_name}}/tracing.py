"""Traces by OpenTelemetry: a span for each request, sent to OTEL_EXPORTER_OTLP_ENDPOINT.

https://opentelemetry.io/docs/languages/sdk-configuration/ explains the settings, called OTEL_...
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
    """Trace each request but health checks, if there is somewhere to send the spans.

    Each worker process builds its own application, so that the thread that sends is its own too.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FlaskInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls="/health/", request_hook=name_request
    )


def name_request(span: trace.Span, environ: dict[str, Any]) -> None:
    """Give a span the id that the logs know its request by."""
    span.set_attribute("request.id", g.request_id)
