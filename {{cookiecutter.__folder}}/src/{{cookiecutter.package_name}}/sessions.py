"""The session's cookie."""

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class SessionInterface(SecureCookieSessionInterface):
    """Flask's own, whose cookie never goes over HTTP once it was given over HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie gets the Secure attribute."""
        return request.is_secure

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of ``request``.

        Most requests bring no cookie. Flask would prepare to check its signature all the same, a
        tenth of what a small answer costs.
        """
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)
