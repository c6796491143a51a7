"""The security headers of all responses."""

import pytest
from flask import Response, send_file

NAMES = {
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
}


@pytest.mark.parametrize("path", ["/health/live", "/static/style.css", "/nothing-here"])
def test_every_response_has_them(client, path):
    with client.get(path) as response:
        assert NAMES.issubset(response.headers.keys())


def test_an_error_has_them(make_app):
    app = make_app()
    app.add_url_rule("/fail", view_func=lambda: 1 / 0)
    response = app.test_client().get("/fail")
    assert response.status_code == 500
    assert NAMES.issubset(response.headers.keys())


def test_a_views_own_value_wins(make_app):
    app = make_app()
    own = {"x-frame-options": "SAMEORIGIN"}
    app.add_url_rule("/own", view_func=lambda: Response(headers=own))
    headers = app.test_client().get("/own").headers
    assert headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    # It would override that.
    assert "frame-ancestors" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("max_age", "value"),
    [("", "max-age=31536000"), ("60", "max-age=60"), ("0", None)],
)
def test_browsers_keep_to_https(make_app, max_age, value):
    client = make_app(PROXY_FIX_X_PROTO="1", HSTS_MAX_AGE=max_age).test_client()
    for scheme, expected in (("https", value), ("http", None)):
        headers = client.get("/health/live", headers={"X-Forwarded-Proto": scheme}).headers
        assert headers.get("Strict-Transport-Security") == expected


def test_a_stream_is_sent_at_once(make_app):
    app = make_app()
    known = {"Content-Length": "2"}
    app.add_url_rule("/stream", "stream", lambda: Response(iter("ab"), headers=known))
    app.add_url_rule("/file", "file", lambda: send_file(__file__))
    client = app.test_client()
    assert client.get("/stream").headers["X-Accel-Buffering"] == "no"
    for path in ("/health/live", "/file"):
        with client.get(path) as response:
            assert "X-Accel-Buffering" not in response.headers
