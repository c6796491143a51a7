"""What mod_wsgi loads: it wants a file, and a name in it."""

from {{ cookiecutter.package_name }}.wsgi import app as application

__all__ = ["application"]
