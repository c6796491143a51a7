"""URLs of static files that browsers cache for a year, because they change with the contents."""

import re
from pathlib import Path
from typing import Any

from flask import Flask

# The image's build adds names with a hash: see the Dockerfile.
HASHED = re.compile(r"(.+)\.0a0[0-9a-f]{13}(\.[a-z0-9]+)")


def hashed_names(folder: Path) -> dict[str, str]:
    """Return the name with a hash of each file in ``folder`` that has one."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return {found[1] + found[2]: name for name in names if (found := HASHED.fullmatch(name))}


def init_app(app: Flask) -> None:
    """Let url_for("static", filename=...) return the name with the hash.

    Only in the image. During development and on a platform's own Python, no file has such a name.
    """
    names = hashed_names(Path(app.static_folder)) if app.static_folder else {}

    @app.url_defaults
    def add_hash(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and values.get("filename") in names:
            values["filename"] = names[values["filename"]]

    @app.url_value_preprocessor
    def remove_hash(endpoint: str | None, values: dict[str, Any] | None) -> None:
        """Without a proxy, serve the file for any hash: a page can be of another release."""
        if endpoint == "static" and values and (found := HASHED.fullmatch(values["filename"])):
            values["filename"] = found[1] + found[2]
