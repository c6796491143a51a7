"""What mod_wsgi loads: it wants a file, and a name in it."""

import sys

# Not mod_wsgi's own, which would write a prefix before each of the application's JSON lines.
sys.stdout = sys.__stdout__

from {{ cookiecutter.package_name }}.wsgi import app as application  # noqa: E402

__all__ = ["application"]
