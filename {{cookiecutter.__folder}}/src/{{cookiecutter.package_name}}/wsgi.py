"""What a WSGI server loads: ``app``, built once in each process."""

import os
import signal

from . import create_app

app = create_app()


def reset_signals() -> None:
    """Take the server's signal handlers out of a forked process, such as one of a process pool.

    With them, SIGTERM would not end that process, and on some servers stop the server instead.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=reset_signals)
