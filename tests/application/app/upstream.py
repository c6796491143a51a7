"""A service that the test application calls: HTTP at port 8000, HTTPS at 8443."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Responds to /bytes/N with N bytes, and to /wait/S after S seconds."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, value = self.path[1:].partition("/")
        if kind == "wait":
            time.sleep(float(value))
        body = b"x" * int(value) if kind == "bytes" else b"waited"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def serve(port: int, context: ssl.SSLContext | None = None) -> None:
    """Serve at a port, with TLS if there is a context."""
    server = ThreadingHTTPServer(("", port), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain("/certificates/server.pem")
    threading.Thread(target=serve, args=(8443, tls), daemon=True).start()
    serve(8000)
