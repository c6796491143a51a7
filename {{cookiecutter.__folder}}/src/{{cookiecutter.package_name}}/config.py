"""The application's settings from the environment. .env.example explains them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAKE_A_KEY = "Create one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
# A name or an address, with a dot in front for all names below it, and with a port or without.
HOST = re.compile(r"(\.?[\w-]+(\.[\w-]+)*|\[[\da-fA-F:.]+\])(:\d+)?")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class ConfigError(RuntimeError):
    """A setting is missing or invalid. The message names it and says what is valid."""


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return Flask's configuration from the variables in ``environ``.

    An empty value means that the variable is not set. Sizes are in bytes. Raises ConfigError.
    """
    key, *former_keys = _secret_keys(environ)
    return {
        "SECRET_KEY": key,
        "SECRET_KEY_FALLBACKS": former_keys,
        "MAX_CONTENT_LENGTH": number(environ, "MAX_CONTENT_LENGTH", default=10 * 1024 * 1024),
        "TRUSTED_HOSTS": _hosts(environ) or None,
        "PROXY_FIX_X_FOR": number(environ, "PROXY_FIX_X_FOR", default=0),
        "PROXY_FIX_X_PROTO": number(environ, "PROXY_FIX_X_PROTO", default=0),
        "PROXY_FIX_X_HOST": number(environ, "PROXY_FIX_X_HOST", default=0),
        "PROXY_FIX_X_PREFIX": number(environ, "PROXY_FIX_X_PREFIX", default=0),
        "TRUST_REQUEST_ID": _switch(environ, "TRUST_REQUEST_ID", default="off"),
        "HTTPS_REDIRECT": _switch(environ, "HTTPS_REDIRECT", default="off"),
        "HSTS_MAX_AGE": number(environ, "HSTS_MAX_AGE", default=31536000),
        "LOG_LEVEL": _log_level(environ),
        "ACCESS_LOG": _switch(environ, "ACCESS_LOG", default="on"),
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def number(environ: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a setting that is a whole number. Raises ConfigError."""
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit()):
        raise ConfigError(f"{name} must be a whole number, such as {default}; it is {value!r}.")
    return int(value)


def _secret_keys(environ: Mapping[str, str]) -> list[str]:
    """Return the signing key, then former keys, whose signatures are still accepted."""
    file = environ.get("SECRET_KEY_FILE", "")
    if key := environ.get("SECRET_KEY", ""):
        return [key, *_words(environ, "SECRET_KEY_FALLBACKS")]
    if not file:
        raise ConfigError(
            "No secret key: set SECRET_KEY, or SECRET_KEY_FILE to a file that contains one. "
            + MAKE_A_KEY
        )
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"SECRET_KEY_FILE names {file}, which cannot be read ({reason}). "
            "It must be a text file that this process can read."
        ) from error
    keys = [line.strip() for line in lines if line.strip()]
    if not keys:
        raise ConfigError(f"SECRET_KEY_FILE names {file}, which is empty. {MAKE_A_KEY}")
    return keys + _words(environ, "SECRET_KEY_FALLBACKS")


def _switch(environ: Mapping[str, str], name: str, *, default: str) -> bool:
    value = environ.get(name) or default
    if value not in ("on", "off"):
        raise ConfigError(f"{name} must be on or off; it is {value!r}.")
    return value == "on"


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    """Split a comma-separated setting."""
    return [word.strip() for word in environ.get(name, "").split(",") if word.strip()]


def _hosts(environ: Mapping[str, str]) -> list[str]:
    hosts = _words(environ, "TRUSTED_HOSTS")
    for host in hosts:
        if not HOST.fullmatch(host):
            raise ConfigError(
                "TRUSTED_HOSTS must be host names such as www.example.com, or .example.com for all "
                f"names below it, separated by commas; one is {host!r}."
            )
    return hosts


def _log_level(environ: Mapping[str, str]) -> str:
    value = (environ.get("LOG_LEVEL") or "info").lower()
    if value not in LOG_LEVELS:
        raise ConfigError(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}; it is {value!r}.")
    return value.upper()
