"""What mod_wsgi loads: it wants a file, and a name in it."""

import sys
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIEnvironment

# Not mod_wsgi's own, which write a prefix before each line, and letters beyond ASCII as escapes.
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__

from {{ cookiecutter.package_name }}.wsgi import app  # noqa: E402


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Run the application."""
    # As it was sent: httpd resolves dots and double slashes in a path, and leaves %2F.
    path = environ["REQUEST_URI"].partition("?")[0]
    environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    # WSGIScriptAliasMatch sets it to the whole path.
    environ["SCRIPT_NAME"] = ""
    return app(environ, start_response)
