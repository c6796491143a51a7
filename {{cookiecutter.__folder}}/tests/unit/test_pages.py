import importlib
import re

import pytest
from flask import Flask, Response, abort
from werkzeug.exceptions import Unauthorized


def test_front_page_names_the_project(client):
    response = client.get("/")
    assert response.status_code == 200
    assert client.application.config["PROJECT_NAME"]
    assert b"<h1>" in response.data


def test_front_page_has_nothing_inline(client):
    page = client.get("/").text
    assert not re.search(r"<(style|script)|\s(style|on\w+)=", page)


def test_front_page_shows_no_internals(client):
    response = client.get("/")
    for name in ("SERVED_BY", "BEHIND"):
        assert client.application.config[name] not in response.text
    for word in ("127.0.0.1", "X-Forwarded", "trusted"):
        assert word not in response.text


# As in the image.
TRUSTING = {
    "PROXY_FIX_X_FOR": "1",
    "PROXY_FIX_X_PROTO": "1",
    "PROXY_FIX_X_HOST": "1",
    "PROXY_FIX_X_PREFIX": "1",
    "TRUST_REQUEST_ID": "on",
}


@pytest.fixture
def debugged(make_app, monkeypatch):
    """Get the text of the front page in debug mode."""
    monkeypatch.setenv("FLASK_DEBUG", "1")

    def get_page(settings=TRUSTING, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        page = make_app(**settings).test_client().get("/", headers=headers).text
        return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))

    return get_page


PROXY = {
    "X_Forwarded_For": "198.51.100.7",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "good.example",
}


def test_front_page_shows_the_proxys_values_in_debug_mode(debugged):
    page = debugged(**PROXY, X_Request_ID="abc123")
    assert "Proxy 127.0.0.1 " in page
    assert "Client address 198.51.100.7 X-Forwarded-For: 198.51.100.7; trusted proxies: 1 " in page
    assert "Scheme https " in page
    assert "Host good.example " in page
    assert "Request id abc123 from X-Request-ID" in page
    assert "Check" not in page


def test_front_page_names_its_file_in_debug_mode(debugged, package):
    assert f"src/{package.__name__}/templates/index.html" in debugged()


def test_front_page_warns_of_a_missing_proxy(debugged):
    page = debugged()
    assert "Client address 127.0.0.1 X-Forwarded-For: none; trusted proxies: 1 Check: " in page
    assert "set PROXY_FIX_X_FOR to 0" in page
    assert page.count("Check: ") == 3


def test_front_page_shows_which_headers_are_ignored(debugged):
    page = debugged({}, **PROXY)
    assert "X-Forwarded-For is ignored: PROXY_FIX_X_FOR is 0" in page
    assert "Check: " not in page


def test_front_page_escapes_its_values(debugged):
    assert "&lt;script&gt;" in debugged(X_Forwarded_For="<script>")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.json == {"status": "ok"}


def test_unknown_path_is_404(client):
    response = client.get("/nothing-here")
    assert response.status_code == 404
    assert "<h1>Not Found</h1>" in response.text
    assert "style.css" in response.text


def test_error_page_of_an_application_with_templates_elsewhere(package):
    app = Flask("another", root_path="/")
    app.register_blueprint(importlib.import_module(f"{package.__name__}.pages").blueprint)
    assert app.test_client().get("/nothing-here").status_code == 404


def test_error_page_keeps_the_errors_headers(client):
    response = client.post("/")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_error_page_escapes_its_text(make_app):
    app = make_app()
    app.add_url_rule("/stop", view_func=lambda: abort(400, "<script>"))
    assert "&lt;script&gt;" in app.test_client().get("/stop").text


def test_error_with_a_response_of_its_own(make_app):
    def stop():
        raise Unauthorized(response=Response("own", 401))

    app = make_app()
    app.add_url_rule("/stop", view_func=stop)
    assert app.test_client().get("/stop").text == "own"
