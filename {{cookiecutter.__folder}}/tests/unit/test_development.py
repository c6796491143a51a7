import importlib
import logging
import re
import sys
import threading

import pytest
from werkzeug.test import Client


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
def in_progress(package):
    """Make the middleware around a WSGI application."""
    return importlib.import_module(f"{package.__name__}.development").RequestsInProgress


def test_the_process_waits_for_requests_in_progress(in_progress):
    def wsgi_app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        waiting.start()
        waiting.join(0.1)
        waited.append(waiting.is_alive())

    waited = []
    middleware = in_progress(wsgi_app)
    waiting = threading.Thread(target=middleware.wait)
    Client(middleware).get("/", buffered=True).close()
    waiting.join(0.5)
    assert waited == [True]
    assert not waiting.is_alive()


def test_a_failed_request_is_no_longer_in_progress(in_progress):
    middleware = in_progress(lambda environ, start_response: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Client(middleware).get("/")
    assert middleware.count == 0
