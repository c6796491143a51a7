"""The WSGI application ``app``, which the server imports once in each process."""

import os
import signal
import threading

from . import create_app

app = create_app()

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
forking = threading.local()


def block_signals() -> None:
    """Delay stop signals while this thread forks.

    Python drops a signal that a forked process receives before that process resets its handlers:
    a process pool that is closed at once would wait for such a process forever.
    """
    forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def restore_signals() -> None:
    """Let the thread that forked receive the signals that it received before."""
    signal.pthread_sigmask(signal.SIG_SETMASK, forking.mask)


def reset_signals() -> None:
    """Remove the server's signal handlers from a forked process, such as one of a process pool.

    With them, SIGTERM would not end that process, and on some servers stop the server instead.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=block_signals, after_in_parent=restore_signals, after_in_child=reset_signals
    )
