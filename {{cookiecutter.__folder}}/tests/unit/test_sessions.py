"""The session's cookie is Secure where the client speaks HTTPS."""

import pytest
from flask import session


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookie_is_secure_over_https(make_app, scheme):
    app = make_app()

    @app.get("/visit")
    def visit():
        session["visited"] = True
        return "visited"

    answer = app.test_client().get("/visit", headers={"X-Forwarded-Proto": scheme})
    cookie = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie)
    assert ("Secure" in cookie) == (scheme == "https")
