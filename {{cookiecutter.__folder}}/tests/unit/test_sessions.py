"""The session cookie is limited to HTTPS and to this service."""

import pytest
from flask import session


@pytest.fixture
def visit(make_app):
    """Start a session and return the attributes of its cookie."""

    def visit(config=None, **headers):
        app = make_app(PROXY_FIX_X_PROTO="1", PROXY_FIX_X_PREFIX="1")
        app.config.update(config or {})

        @app.get("/visit")
        def view():
            session["visits"] = session.get("visits", 0) + 1
            return str(session["visits"])

        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return app.test_client().get("/visit", headers=headers).headers["Set-Cookie"].split("; ")

    return visit


def test_cookie_is_secure_over_https(visit):
    assert {"HttpOnly", "SameSite=Lax", "Secure"} <= set(visit(X_Forwarded_Proto="https"))
    assert "Secure" not in visit(X_Forwarded_Proto="http")
    assert "Secure" in visit({"SESSION_COOKIE_SECURE": True}, X_Forwarded_Proto="http")


def test_cookie_is_for_the_services_prefix(visit):
    assert "Path=/" in visit()
    assert "Path=/blog" in visit(X_Forwarded_Prefix="/blog")
    assert "Path=/own" in visit({"SESSION_COOKIE_PATH": "/own"}, X_Forwarded_Prefix="/blog")


def test_session_lasts(make_app):
    app = make_app()

    @app.get("/visit")
    def visit():
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    @app.get("/leave")
    def leave():
        session.clear()
        return ""

    client = app.test_client()
    client.set_cookie("another", "cookie")
    assert [client.get("/visit").text for _ in range(3)] == ["1", "2", "3"]
    assert "Set-Cookie" not in client.get("/health/live").headers
    client.get("/leave")
    assert client.get("/visit").text == "1"
