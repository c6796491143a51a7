"""Where an application runs is the same on every server."""

import json
import time

import pytest

from tests.lib.stack import Stack

from .together import AT_A_TIME, results


def in_a_program(stack: Stack, code: str) -> str:
    """Run Python code in the application's container; return its output."""
    status, (printed, error) = stack.container("app").exec_run(["python", "-c", code], demux=True)
    assert status == 0, error
    return printed.decode()


def test_folders(stack: Stack):
    """The working directory `/app`, and a home directory that may be written."""
    folders = {"at import": "/app", "working": "/app"}
    folders |= dict.fromkeys(["home", "temporary"], "/tmp")  # noqa: S108 (the container's)
    assert results(stack, "/environment/folders") == [folders] * AT_A_TIME


def test_time_zone(stack: Stack):
    """The time zone of `TZ`, by default UTC, and others with `zoneinfo`."""
    local = {
        "time": "05:30 +0530",
        "datetime": "1970-01-01T05:30:00+05:30",
        "zoneinfo": "1969-12-31T19:00:00-05:00",
    }
    assert results(stack, "/environment/time") == [local] * AT_A_TIME
    default = "import os, time; del os.environ['TZ']; time.tzset(); print(time.tzname)"
    assert in_a_program(stack, default) == "('UTC', 'UTC')\n"


def test_encodings(stack: Stack):
    """UTF-8 for names of files, text files, streams and arguments of programs."""
    text = "Grüße-世界-🐍"
    found = {"written": [text] * 3, "encodings": ["utf-8"] * 4}
    assert results(stack, "/environment/encodings") == [found] * AT_A_TIME


def test_modes(stack: Stack):
    """The modes of new files and folders."""
    modes = {"file": "644", "folder": "755"}
    assert results(stack, "/environment/modes") == [modes] * AT_A_TIME


def test_variables(stack: Stack):
    """Environment variables that the owner defines."""
    for variables in results(stack, "/environment/variables"):
        assert variables["OWN_SETTING"] == "grün, 'one' \"two\" $three"
        assert variables["PATH"].startswith("/opt/venv/bin:")
        assert (variables["PORT"], variables["LOG_LEVEL"]) == ("8000", "info")


def test_limits(stack: Stack):
    """The container's resource limits, such as open files."""
    code = "from abilities import environment; import json; print(json.dumps(environment.limits()))"
    limits = json.loads(in_a_program(stack, code).splitlines()[0])  # before the output at exit
    assert limits["RLIMIT_NOFILE"]
    assert results(stack, "/environment/limits") == [limits] * AT_A_TIME


def test_python(stack: Stack):
    """The Python of the virtual environment, and each module imported once."""
    python = {
        "prefix": "/opt/venv",
        "program": "/opt/venv/bin/python",
        "imported twice": [],
        "as imported": [True] * 3,
        "arguments": True,
    }
    assert results(stack, "/environment/python") == [python] * AT_A_TIME


@pytest.mark.destructive
def test_exit(stack: Stack, restored: Stack):
    """`atexit` handlers at a graceful shutdown, also where a module sets signal handlers."""
    began = time.time()
    stack.compose("stop app")
    app = stack.container("app")
    assert app.attrs["State"]["ExitCode"] == 0
    log = app.logs(since=began).decode()
    assert "printed at exit\n" in log
    assert '"message": "logged at exit"' in log
