"""The entry point on PythonAnywhere. README.md in this folder has the commands.

Web app: the platform's WSGI file imports ``application`` for the platform's own server.
Website: this file is the start command and runs the project's server.
https://help.pythonanywhere.com/pages/Flask  https://help.pythonanywhere.com/pages/ASGICommandLine
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]

# The platform has no other place for settings. .env.example explains them. There is no sidecar: the
# platform's front end is the only proxy.
os.environ |= {
    "SECRET_KEY_FILE": str(PROJECT / "secrets" / "secret_key"),
{%- if cookiecutter.database == "postgresql" %}
    "DATABASE_URL": (PROJECT / "secrets" / "database_url").read_text(encoding="utf-8").strip(),
{%- endif %}
    # Host names to serve, separated by commas: the domain, which is the name of this folder.
    "TRUSTED_HOSTS": PROJECT.name,
    # The front end appends the client's address to X-Forwarded-For. Earlier values can be forged.
    "PROXY_FIX_X_FOR": "1",
    # It sets X-Forwarded-Proto, according to its users but not to its documentation: check that
    # redirects lead to https URLs.
    "PROXY_FIX_X_PROTO": "1",
    # It does not set these, so clients could forge them.
    "PROXY_FIX_X_HOST": "0",
    "PROXY_FIX_X_PREFIX": "0",
    "TRUST_REQUEST_ID": "off",
    # For the project's server: the CPUs of the machine are shared with other accounts.
    "WEB_CONCURRENCY": "2",
}

if __name__ == "__main__":
    # The platform passes the socket's path. A killed server does not remove its socket.
    socket = Path(sys.argv[1])
    socket.unlink(missing_ok=True)
    programs = Path(sys.executable).parent
    os.environ |= {
        "UNIX_SOCKET": str(socket),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": "src",
    }
    os.chdir(PROJECT)
    command = {{ cookiecutter._servers[cookiecutter.wsgi_server].command | tojson }}
    os.execv(sys.executable, [sys.executable, "server/start.py", *command])  # noqa: S606

sys.path.insert(0, str(PROJECT / "src"))

from {{ cookiecutter.package_name }}.wsgi import app as application  # noqa: E402, F401
