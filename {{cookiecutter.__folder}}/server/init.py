"""The container's first process: it runs the server and reaps orphans.

The kernel makes it the parent of processes whose parent has ended, such as background processes of
a view's subprocess. Until they are reaped, they count towards the limit of processes.
"""

import os
import signal

# The signals that stop or control a server.
FORWARDED = [
    *("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTTIN", "SIGTTOU"),
    *("SIGUSR1", "SIGUSR2", "SIGWINCH"),
]


def run(command: list[str]) -> int:
    """Run a command, forward signals to it, and return its exit status.

    Raises SystemExit with the reason if it cannot be started.
    """
    forwarded = {signal.Signals[name] for name in FORWARDED}
    # Blocked here and received below, so that none is missed and none ends this process.
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
            # A terminal sends these two to the command as well.
            if not (os.isatty(0) and number in (signal.SIGINT, signal.SIGQUIT)):
                os.kill(server, number)
                sent.add(number)
            continue
        for pid, status in iter(ended, (0, 0)):
            if pid == server:
                code = os.waitstatus_to_exitcode(status)
                # A command without a handler ends by a forwarded signal: that is a normal stop.
                return 0 if -code in sent else 128 - code if code < 0 else code


def ended() -> tuple[int, int]:
    """Reap one child: return its id and status, or (0, 0) if none has ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
