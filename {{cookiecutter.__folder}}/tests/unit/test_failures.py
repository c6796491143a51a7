import json
import sys

import pytest
from flask import Flask, Response
from werkzeug.test import create_environ


def logged(capsys) -> list[dict[str, str]]:
    """Return the log's lines with a traceback."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "exc_info" in line]


def fail():
    raise ValueError


def parts(*first):
    yield from first
    fail()


def failing_close():
    response = Response("whole")
    response.call_on_close(fail)
    return response


@pytest.mark.parametrize(
    ("view", "name"), [(sys.exit, "SystemExit"), (lambda: Response(parts()), "ValueError")]
)
def test_a_failure_is_a_response_of_its_own_and_logged_once(make_app, capsys, view, name):
    app = make_app(TRUST_REQUEST_ID="on")
    app.add_url_rule("/fail", view_func=view)
    response = app.test_client().get("/fail", headers={"X-Request-ID": "abc123"})
    assert response.status_code == 500
    assert response.headers["X-Frame-Options"] == "DENY"
    (line,) = logged(capsys)
    assert line["request_id"] == "abc123"
    assert name in line["exc_info"]


def test_the_id_is_known_if_other_middleware_copies_environ(make_app, package, capsys):
    """As that of Flask-SocketIO does."""
    make_app()  # configures the log
    app = Flask(__name__)
    app.config["ACCESS_LOG"] = False
    app.add_url_rule("/fail", view_func=sys.exit)
    package.logs.init_app(app)
    flask = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: flask(environ.copy(), start_response)
    package.failures.init_app(app)
    app.test_client().get("/fail", headers={"X-Request-ID": "abc123"})
    assert logged(capsys)[0]["request_id"] == "abc123"


def test_a_failure_after_the_first_part_ends_the_response(make_app, package, capsys):
    app = make_app()
    app.add_url_rule("/fail", view_func=lambda: Response(parts("first")))
    response = app.test_client().get("/fail")
    body = response.iter_encoded()
    assert next(body) == b"first"
    with pytest.raises(package.logs.ResponseFailed):
        next(body)
    (line,) = logged(capsys)
    assert "ValueError" in line["exc_info"]


class Taken(Response):
    """The response of a view that has taken the connection."""

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/raises":
            raise StopIteration
        return []


def test_a_view_that_has_taken_the_connection_sends_no_response(make_app, capsys):
    app = make_app(ACCESS_LOG="off")
    for path in ("/raises", "/returns"):
        app.add_url_rule(path, path, lambda: Taken())
    environ = create_environ("/raises", headers={"Upgrade": "websocket"})
    with pytest.raises(StopIteration):
        app(environ, fail)
    assert list(app(environ | {"PATH_INFO": "/returns"}, fail)) == []
    assert not logged(capsys)


def test_without_an_upgrade_it_is_a_failure(make_app, capsys):
    app = make_app()
    app.add_url_rule("/raises", view_func=lambda: Taken())
    assert app.test_client().get("/raises").status_code == 500
    assert len(logged(capsys)) == 1


def test_a_body_that_is_shorter_than_announced_is_a_failure(make_app, package, capsys):
    app = make_app(ACCESS_LOG="off")
    headers = {"Content-Length": "20"}
    app.add_url_rule("/short", "short", lambda: Response(iter(["first"]), headers=headers))
    app.add_url_rule("/none", "none", lambda: Response(iter([""]), headers=headers))
    client = app.test_client()
    assert client.head("/short").status_code == 200
    assert capsys.readouterr().out == ""
    assert client.get("/none").status_code == 500
    capsys.readouterr()
    body = client.get("/short").iter_encoded()
    assert next(body) == b"first"
    with pytest.raises(package.logs.ResponseFailed):
        next(body)
    assert "15 bytes short" in json.loads(capsys.readouterr().out)["message"]


def test_a_failure_to_close_changes_nothing_for_the_client(make_app, capsys):
    app = make_app()
    app.add_url_rule("/fail", view_func=failing_close)
    response = app.test_client().get("/fail", buffered=True)
    assert (response.status_code, response.text) == (200, "whole")
    (line,) = logged(capsys)
    assert "ValueError" in line["exc_info"]


def test_a_test_sees_the_exception(make_app):
    app = make_app()
    app.testing = True
    app.add_url_rule("/fail", view_func=sys.exit)
    with pytest.raises(SystemExit):
        app.test_client().get("/fail")
