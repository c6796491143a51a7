import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@pytest.fixture
def collector():
    """Something that spans can be sent to: its address, and what it got."""
    bodies = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_request_is_a_span_with_its_id(make_app, monkeypatch, collector):
    address, bodies = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    app = make_app(TRUST_REQUEST_ID="on")
    app.add_url_rule("/own", view_func=lambda: "")
    client = app.test_client()
    client.get("/health/live")
    client.get("/own", headers={"X-Request-ID": "abc123"})
    app.extensions["tracer_provider"].shutdown()
    (body,) = bodies
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = resource.scope_spans[0].spans
    assert span.name == "GET /own"
    attributes = {each.key: each.value.string_value for each in span.attributes}
    assert attributes["request.id"] == "abc123"


def test_with_nowhere_to_send_them_nothing_is_traced(make_app, monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    traced = []
    app = make_app()
    app.add_url_rule("/span", view_func=lambda: traced.append(trace.get_current_span()) or "")
    app.test_client().get("/span")
    assert traced == [trace.INVALID_SPAN]
