import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
        # A signal to the first process is sent on to the command, which ends by it.
        ("import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()", 0),
    ],
)
def test_status_of_the_command(script, status):
    code = f"import init, sys; sys.exit(init.run([sys.executable, '-c', {script!r}]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd="server", check=False, timeout=30)  # noqa: S603
    assert done.returncode == status


def test_command_that_does_not_exist():
    code = "import init; init.run(['no-such-command'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd="server", capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr == b"no-such-command cannot be started: No such file or directory.\n"
