"""A container's first process, which runs the server and reaps orphans.

The kernel makes it the parent of each process that lost its own, such as the background process of
a view's subprocess. Ended and not waited for, each counts against the limit of processes for ever.
"""

import os
import signal

# The signals that stop or control a server.
FORWARDED = [
    *("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTTIN", "SIGTTOU"),
    *("SIGUSR1", "SIGUSR2", "SIGWINCH"),
]


def run(command: list[str]) -> int:
    """Run a command until it ends, and return its exit status. Signals go on to it.

    Raises SystemExit with a clear line when it cannot be started.
    """
    forwarded = {signal.Signals[name] for name in FORWARDED}
    # Blocked, and taken one by one below: none is missed, and none ends this process.
    awaited = forwarded | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        server = os.posix_spawnp(command[0], command, os.environ, setsigmask=[])
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be started: {error.strerror}.") from error
    sent = set()
    while True:
        number = signal.sigwait(awaited)
        if number in forwarded:
            # From a terminal, the command has got these two itself.
            if not (os.isatty(0) and number in (signal.SIGINT, signal.SIGQUIT)):
                os.kill(server, number)
                sent.add(number)
            continue
        for pid, status in iter(ended, (0, 0)):
            if pid == server:
                code = os.waitstatus_to_exitcode(status)
                # A command that does not handle a signal yet ends by it: as it was told to.
                return 0 if -code in sent else 128 - code if code < 0 else code


def ended() -> tuple[int, int]:
    """Return the id and the status of a child that ended, which is gone then; (0, 0) for none."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
