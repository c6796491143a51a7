"""Run Apache httpd with mod_wsgi, once the application is known to start.

mod_wsgi goes on answering 500 where the application cannot be imported. Importing it first ends the
container instead, with the reason in the log and a status other than 0.

httpd finishes the requests in flight on SIGWINCH, the image's stop signal, and drops them on
SIGTERM, which is all that hosting platforms send: here both mean the first.
"""

import os
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from mod_wsgi.express.platform import MOD_WSGI_SO

import_module("application")

os.environ.update(
    MOD_WSGI_SO=str(MOD_WSGI_SO),
    PYTHON_HOME=sys.prefix,
    SERVER_FOLDER=str(Path(__file__).parent),
    SOURCE_FOLDER=os.environ["PYTHONPATH"],
)
program = shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin")
if program is None:
    raise SystemExit("Apache httpd is not installed here: install Debian's apache2-bin.")
httpd = subprocess.Popen(  # noqa: S603 # nothing of it comes from outside
    [program, "-f", f"{os.environ['SERVER_FOLDER']}/httpd.conf", "-DFOREGROUND"]
)
for number in (signal.SIGTERM, signal.SIGWINCH):
    signal.signal(number, lambda *_: httpd.send_signal(signal.SIGWINCH))
sys.exit(httpd.wait())
