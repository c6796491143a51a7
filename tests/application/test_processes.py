"""A view may start processes."""

import time

import pytest

from tests.lib.stack import Stack
from tests.lib.template import Pair

from .conftest import app_base
from .together import results

# Concurrent requests. Only two, as each process that is not forked imports the application's module
# again. Only one with fork: Python may deadlock if two threads fork at the same time.
AT_A_TIME = {"fork": 1, "forkserver": 2, "spawn": 2}
SQUARES = [0, 1, 4, 9, 16]


def test_own_python(stack: Stack):
    """Programs: `sys.executable`, with the same packages."""
    expected = {"status": 0, "output": "/opt/venv\n", "error": ""}
    assert results(stack, "/processes/python", times=4) == [expected] * 4


def test_shell(stack: Stack, pair: Pair):
    """Programs in a shell, where the image has one."""
    output = {"full": "42\n", "minimal": None}[app_base(pair)]
    assert results(stack, "/processes/shell") == [{"output": output}] * 8


def test_input_and_output(stack: Stack):
    """Programs with a megabyte of input and output."""
    expected = {"length": 1_000_000, "same": True}
    assert results(stack, "/processes/echo?length=1000000") == [expected] * 8


def test_timeout(stack: Stack):
    """Programs with a timeout."""
    assert results(stack, "/processes/timeout") == [{"expired": True}] * 8


def test_failure(stack: Stack):
    """Programs that fail."""
    assert results(stack, "/processes/failure", times=4) == [{"statuses": [3, 3, 3]}] * 4


def test_environment(stack: Stack):
    """Programs with their own environment and working directory."""
    expected = {"status": 3, "output": "schön /tmp\n"}
    assert results(stack, "/processes/environment") == [expected] * 8


def test_many_programs(stack: Stack):
    """Hundreds of programs in a row."""
    assert results(stack, "/processes/row?times=50", times=4) == [{"statuses": [0] * 50}] * 4


def test_conversation(stack: Stack):
    """Programs that are written to and read from in turns, and ended by SIGTERM."""
    expected = {"responses": SQUARES, "running": True, "status": -15}
    assert results(stack, "/processes/conversation") == [expected] * 8


def check(stack: Stack, way: str, method: str, expected: list[object]) -> None:
    """Check concurrent requests that use processes in this way, with this start method."""
    times = AT_A_TIME[method]
    path = f"/processes/{way}/{method}"
    assert results(stack, path, times=times) == [{"found": expected}] * times


@pytest.mark.parametrize("method", AT_A_TIME)
def test_process(stack: Stack, method: str):
    """multiprocessing.Process, Queue and Pipe."""
    check(stack, "process", method, [*SQUARES, "done", 0])


@pytest.mark.parametrize("method", AT_A_TIME)
def test_terminated_process(stack: Stack, method: str):
    """multiprocessing.Process, ended by SIGTERM."""
    check(stack, "terminated", method, [-15] * (21 if method == "fork" else 1))


@pytest.mark.parametrize("method", AT_A_TIME)
def test_pool(stack: Stack, method: str):
    """multiprocessing.Pool."""
    check(stack, "pool", method, SQUARES)


@pytest.mark.parametrize("method", AT_A_TIME)
def test_executor(stack: Stack, method: str):
    """ProcessPoolExecutor."""
    check(stack, "executor", method, [*SQUARES, True])


@pytest.mark.destructive
def test_stop(restored: Stack):
    """Graceful shutdown while a ProcessPoolExecutor is kept."""
    # Restart, so that the next health check is 30 s away. It would wake up a server that missed the
    # stop signal.
    restored.compose("restart app")
    restored.start()
    for method in AT_A_TIME:
        check(restored, "kept", method, SQUARES)
    started = time.monotonic()
    restored.compose("stop")
    seconds = time.monotonic() - started
    assert restored.container("app").attrs["State"]["ExitCode"] == 0
    # It must not wait for GRACEFUL_TIMEOUT (20 s) and be killed by SIGKILL.
    assert seconds < 20
