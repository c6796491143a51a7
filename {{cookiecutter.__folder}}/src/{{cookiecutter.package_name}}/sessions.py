"""The session's cookie."""

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface


class SessionInterface(SecureCookieSessionInterface):
    """Flask's own, whose cookie never goes over HTTP once it was given over HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie gets the Secure attribute."""
        return request.is_secure
