import importlib
import logging
import re
import socket
import sys
import threading

import pytest
from werkzeug.serving import make_server


@pytest.fixture(autouse=True)
def debug(monkeypatch):
    monkeypatch.setenv("FLASK_DEBUG", "1")


def test_each_request_is_one_line_of_text_with_its_id(make_app, capsys):
    client = make_app().test_client()
    client.get("/health/ready")  # not logged
    client.get("/nothing-here")
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[\d:]{8} INFO GET /nothing-here 404 in \d+ ms [0-9a-f]{32}", line)


def test_an_exception_is_logged_with_its_traceback(make_app, capsys):
    app = make_app()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        app.logger.exception("failed")
    line, *traceback = capsys.readouterr().out.splitlines()
    assert line.endswith("ERROR failed")
    assert traceback[-1] == "ZeroDivisionError"


def test_the_servers_messages_are_readable(make_app, capsys, monkeypatch):
    make_app()
    server = logging.getLogger("werkzeug")
    server.info('127.0.0.1 - - [29/Nov/2026 10:00:00] "GET / HTTP/1.1" 200 -')
    server.info("\x1b[33mPress CTRL+C to quit\x1b[0m")
    server.info(" * Running on http://127.0.0.1:8000")
    monkeypatch.setenv("DEVELOPMENT_URL", "http://127.0.0.1:8080/")
    server.info(" * Running on http://127.0.0.1:8000")
    assert [line.split(" INFO ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "Press CTRL+C to quit",
        "Running on http://127.0.0.1:8000",
        "Running on http://127.0.0.1:8080/",
    ]


def test_a_terminal_shows_colours(make_app, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    make_app().logger.error("failed")
    assert capsys.readouterr().out.startswith("\x1b[31m")


@pytest.fixture
def server(package):
    """Run Flask's server, which counts its connections; yield its address and these."""
    server = make_server("127.0.0.1", 0, lambda environ, start_response: 1 / 0, threaded=True)
    development = importlib.import_module(f"{package.__name__}.development")
    connections = development.Connections(server)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server.server_address, connections
    server.shutdown()
    serving.join()
    server.server_close()


def count_is(connections, number):
    with connections.changed:
        return connections.changed.wait_for(lambda: connections.count == number, timeout=5)


def test_the_process_waits_for_accepted_connections(server):
    address, connections = server
    waiting = threading.Thread(target=connections.wait)
    with socket.create_connection(address) as client:
        assert count_is(connections, 1)
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        # A failed request counts no longer, too.
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 500")
    assert count_is(connections, 0)
    waiting.join(5)
    assert not waiting.is_alive()


def test_the_process_does_not_wait_for_long(server):
    address, connections = server
    with socket.create_connection(address):
        assert count_is(connections, 1)
        connections.wait()
        assert connections.count == 1
    assert count_is(connections, 0)
