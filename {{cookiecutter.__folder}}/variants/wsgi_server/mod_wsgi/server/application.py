"""The application for mod_wsgi, which loads a file."""

import sys
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIEnvironment

# mod_wsgi's streams add a prefix to each line and escape characters that are not ASCII.
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__

from {{ cookiecutter.package_name }}.wsgi import app  # noqa: E402


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Run the application."""
    # The path as the client sent it: httpd resolves dot segments and double slashes, but not %2F.
    path = environ["REQUEST_URI"].partition("?")[0]
    environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    # WSGIScriptAliasMatch sets it to the whole path.
    environ["SCRIPT_NAME"] = ""
    return app(environ, start_response)
