"""Granian: worker processes with threads, HTTP in Rust.

https://github.com/emmett-framework/granian
"""

import multiprocessing
import os
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

# Workers import this file again, and processes that a view starts: it must do nothing there.
if __name__ == "__main__":
    from {{ cookiecutter.package_name }} import logs

    # Whatever this Python's default: a forked worker would have this process's signal handlers
    # until the application is loaded, and not hear that it is to stop.
    multiprocessing.set_start_method("spawn")
    # The stack of Rust's threads, which run the views: in Rust's 2 MiB, deep recursion that Python
    # still allows ends the process. https://doc.rust-lang.org/std/thread/#stack-size
    os.environ.setdefault("RUST_MIN_STACK", str(8 * 1024 * 1024))
    socket = os.environ.get("UNIX_SOCKET")
    Granian(
        "{{ cookiecutter.package_name }}.wsgi:app",
        address=os.environ["LISTEN_ADDRESS"].strip("[]"),
        port=int(os.environ["PORT"]),
        uds=Path(socket) if socket else None,
        # Whoever reaches its folder may connect.
        uds_permissions=0o666,
        interface=Interfaces.WSGI,
        workers=int(os.environ["WEB_CONCURRENCY"]),
        blocking_threads=int(os.environ["WEB_THREADS"]),
        # The proxy speaks HTTP/1.1.
        http=HTTPModes.http1,
        # Milliseconds, and for an idle connection too: longer than the proxy keeps one, so that it
        # never writes into one that is being closed.
        http1_settings=HTTP1Settings(header_read_timeout=75_000),
        websockets=False,
        # Without it the container would stop with the first worker that dies.
        respawn_failed_workers=True,
        workers_kill_timeout=int(os.environ["GRACEFUL_TIMEOUT"]),
        # Requests are logged by the proxy or, with ACCESS_LOG, by the application.
        log_access=False,
        log_level=LogLevels(os.environ["LOG_LEVEL"].lower()),
        log_dictconfig=logs.dict_config(os.environ["LOG_LEVEL"].upper()),
    ).serve()
