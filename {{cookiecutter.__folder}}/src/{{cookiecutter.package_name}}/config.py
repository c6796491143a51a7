"""The application's settings, read from the environment; .env.example explains each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class ConfigError(RuntimeError):
    """A setting is missing or makes no sense; the message says which and what would be right."""


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return Flask's configuration as ``environ`` describes it.

    An empty value counts as not set. Sizes are in bytes. Raises ConfigError.
    """
    return {
        "SECRET_KEY": _secret_key(environ),
        "SECRET_KEY_FALLBACKS": _words(environ, "SECRET_KEY_FALLBACKS"),
        "MAX_CONTENT_LENGTH": _number(environ, "MAX_CONTENT_LENGTH", default=10 * 1024 * 1024),
        "TRUSTED_HOSTS": _words(environ, "TRUSTED_HOSTS") or None,
        "FORWARDED_FOR_HOPS": _number(environ, "FORWARDED_FOR_HOPS", default=1),
        "FORWARDED_PROTO_HOPS": _number(environ, "FORWARDED_PROTO_HOPS", default=1),
        "FORWARDED_HOST_HOPS": _number(environ, "FORWARDED_HOST_HOPS", default=1),
        "FORWARDED_PREFIX_HOPS": _number(environ, "FORWARDED_PREFIX_HOPS", default=0),
        "LOG_LEVEL": _log_level(environ),
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def _secret_key(environ: Mapping[str, str]) -> str:
    key = environ.get("SECRET_KEY", "")
    file = environ.get("SECRET_KEY_FILE", "")
    if file and not key:
        try:
            key = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"SECRET_KEY_FILE names {file}, which cannot be read ({error.strerror}). "
                "Create it, readable for this process, or set SECRET_KEY."
            ) from error
    if not key:
        raise ConfigError(
            "No secret key: set SECRET_KEY, or SECRET_KEY_FILE to a file that holds one. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return key


def _number(environ: Mapping[str, str], name: str, *, default: int) -> int:
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit()):
        raise ConfigError(f"{name} must be a whole number, such as {default}; it is {value!r}.")
    return int(value)


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    """Split a comma-separated setting."""
    return [word.strip() for word in environ.get(name, "").split(",") if word.strip()]


def _log_level(environ: Mapping[str, str]) -> str:
    value = (environ.get("LOG_LEVEL") or "info").lower()
    if value not in LOG_LEVELS:
        raise ConfigError(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}; it is {value!r}.")
    return value.upper()
