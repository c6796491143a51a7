"""Granian: worker processes with threads, HTTP in Rust.

https://github.com/emmett-framework/granian
"""

import logging
import multiprocessing
import os
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

# Workers, and processes that views start, import this file again: it must do nothing there.
if __name__ == "__main__":
    from {{ cookiecutter.package_name }} import logs

    # A forked worker would have this process's signal handlers until the application is loaded, and
    # ignore the stop signal.
    multiprocessing.set_start_method("spawn")
    # The stack size of Rust's threads, which run the views: with Rust's default of 2 MiB, recursion
    # within Python's limit crashes. https://doc.rust-lang.org/std/thread/#stack-size
    os.environ.setdefault("RUST_MIN_STACK", str(8 * 1024 * 1024))
    # Granian warns of more than two threads per CPU, but more are right for views that wait.
    logging.getLogger("_granian").addFilter(lambda record: "spawning up to" not in record.msg)
    socket = os.environ.get("UNIX_SOCKET")
    Granian(
        "{{ cookiecutter.package_name }}.wsgi:app",
        address=os.environ["LISTEN_ADDRESS"].strip("[]"),
        port=int(os.environ["PORT"]),
        uds=Path(socket) if socket else None,
        # Access is controlled by the permissions of its folder.
        uds_permissions=0o666,
        interface=Interfaces.WSGI,
        workers=int(os.environ["WEB_CONCURRENCY"]),
        blocking_threads=int(os.environ["WEB_THREADS"]),
        # The proxy speaks HTTP/1.1.
        http=HTTPModes.http1,
        # Milliseconds, also for idle connections: longer than the proxy keeps them, so that it does
        # not send on a closing one.
        http1_settings=HTTP1Settings(header_read_timeout=75_000),
        websockets=False,
        # Otherwise the container would stop when a worker crashes.
        respawn_failed_workers=True,
        workers_kill_timeout=int(os.environ["GRACEFUL_TIMEOUT"]),
        # The proxy or, with ACCESS_LOG, the application logs requests.
        log_access=False,
        log_level=LogLevels(os.environ["LOG_LEVEL"].lower()),
        log_dictconfig=logs.dict_config(os.environ["LOG_LEVEL"].upper()),
    ).serve()
