"""Import the application, then run Apache httpd with mod_wsgi.

If the application cannot be imported, mod_wsgi would respond with 500 forever. The import before it
stops the container instead, with the reason in the log and an exit status other than 0.
"""

import os
import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path

from mod_wsgi.express.platform import MOD_WSGI_SO
from start import OTHER_PIDS, pids_limit

# Until httpd runs, no request is in flight. By default Python would ignore its stop signal.
signal.signal(signal.SIGWINCH, lambda *_: sys.exit())
import_module("application")

# A request needs a thread of httpd in addition to one of Python. 128 are enough to queue requests,
# and the container's limit of processes and threads may leave fewer.
python_threads = int(os.environ["WEB_CONCURRENCY"]) * int(os.environ["WEB_THREADS"])
left = pids_limit() - OTHER_PIDS - python_threads
httpd_threads = int(max(32, min(max(128, python_threads), left)))

os.environ.update(
    HTTPD_THREADS=str(httpd_threads),
    MOD_WSGI_SO=str(MOD_WSGI_SO),
    PYTHON_HOME=sys.prefix,
    SERVER_FOLDER=str(Path(__file__).parent),
    WORKING_FOLDER=str(Path.cwd()),
    SOURCE_FOLDER=os.environ["PYTHONPATH"],
)
httpd = shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin")
if httpd is None:
    raise SystemExit("Apache httpd is not installed here: install Debian's apache2-bin.")
os.execv(httpd, [httpd, "-f", f"{os.environ['SERVER_FOLDER']}/httpd.conf", "-DFOREGROUND"])
