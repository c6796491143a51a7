"""What PythonAnywhere runs, in either of its ways; README.md beside it has the commands.

As a web app: the platform's WSGI file imports ``application`` from here, for the platform's own
server. As a website: this is the start command, and becomes the project's own server.
https://help.pythonanywhere.com/pages/Flask  https://help.pythonanywhere.com/pages/ASGICommandLine
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]

# The platform has no other place for settings; .env.example explains each. There is no sidecar: the
# platform's front end is the only proxy.
os.environ |= {
    "SECRET_KEY_FILE": str(PROJECT / "secrets" / "secret_key"),
    # The host names that the service responds to: the domain, which this folder is named for. Add
    # others with commas between.
    "TRUSTED_HOSTS": PROJECT.name,
    # It adds the address that it saw to X-Forwarded-For; those before are the client's own.
    "PROXY_FIX_X_FOR": "1",
    # It sets X-Forwarded-Proto, as its users have seen. Its pages do not say so: check where a
    # redirect leads at first.
    "PROXY_FIX_X_PROTO": "1",
    # It sets none of these: they would be the client's own.
    "PROXY_FIX_X_HOST": "0",
    "PROXY_FIX_X_PREFIX": "0",
    "TRUST_REQUEST_ID": "off",
    # For the project's own server: the machine's many processors are shared with other accounts.
    "WEB_CONCURRENCY": "2",
}

if __name__ == "__main__":
    # The platform says where to listen. A server that was killed leaves its socket behind.
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
