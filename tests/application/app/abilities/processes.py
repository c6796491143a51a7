"""Processes: programs, and functions in processes of Python's own."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from selectors import EVENT_READ, DefaultSelector

from flask import Blueprint, request

blueprint = Blueprint("processes", __name__)

# Executors by start method. A request creates one, and it stays for all later requests.
kept: dict[str, ProcessPoolExecutor] = {}


def python(code: str, *arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
    """Run Python code in a separate program."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


@blueprint.get("/python")
def own_python() -> dict[str, object]:
    """Run sys.executable: the virtual environment's Python with the same packages."""
    done = python("import flask, httpx, sys; print(sys.prefix)")
    return {
        "status": done.returncode,
        "output": done.stdout.decode(),
        "error": done.stderr.decode(),
    }


@blueprint.get("/shell")
def shell() -> dict[str, object]:
    """Run a pipeline in a shell, if the image has one."""
    try:
        done = subprocess.run("echo $((6 * 7)) | cat", shell=True, capture_output=True)  # noqa: S602
    except FileNotFoundError:
        return {"output": None}
    return {"output": done.stdout.decode()}


@blueprint.get("/echo")
def echo() -> dict[str, object]:
    """Send ``?length=`` bytes to a program, which echoes them; return whether they are the same."""
    data = os.urandom(1000) * (int(request.args["length"]) // 1000)
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    done = python(code, input=data)
    return {"length": len(done.stdout), "same": done.stdout == data}


@blueprint.get("/timeout")
def time_out() -> dict[str, object]:
    """Stop a program after a timeout."""
    try:
        python("import time; time.sleep(60)", timeout=0.5)
    except subprocess.TimeoutExpired:
        return {"expired": True}
    return {"expired": False}


@blueprint.get("/failure")
def failure() -> dict[str, object]:
    """Run a failing program with each function that then raises an exception."""
    statuses = []
    for function in (subprocess.run, subprocess.check_call, subprocess.check_output):
        options = {"check": True} if function is subprocess.run else {}
        try:
            function([sys.executable, "-c", "raise SystemExit(3)"], **options)
        except subprocess.CalledProcessError as error:
            statuses.append(error.returncode)
    return {"statuses": statuses}


@blueprint.get("/environment")
def environment() -> dict[str, object]:
    """Run a program with other variables in another folder; return its status and output."""
    code = "import os, sys; print(os.environ['NAME'], os.getcwd()); sys.exit(3)"
    done = python(code, env=os.environ | {"NAME": "schön"}, cwd="/tmp")
    return {"status": done.returncode, "output": done.stdout.decode()}


@blueprint.get("/row")
def row() -> dict[str, object]:
    """Run ``?times=`` programs, one after the other; return their statuses."""
    command = [sys.executable, "-I", "-S", "-c", "pass"]
    times = int(request.args["times"])
    return {"statuses": [subprocess.run(command, check=False).returncode for _ in range(times)]}


@blueprint.get("/conversation")
def conversation() -> dict[str, object]:
    """Write to a program and read from it in turns, then stop it with SIGTERM."""
    code = "import sys\nfor line in sys.stdin: print(int(line) ** 2, flush=True)"
    responses = []
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        for number in range(5):
            print(number, file=program.stdin, flush=True)
            responses.append(int(program.stdout.readline()))
        running = program.poll() is None
        program.terminate()
    return {"responses": responses, "running": running, "status": program.returncode}


def square(number: int) -> int:
    return number * number


def put_squares(queue: "Queue[int]", count: int, writer: Connection) -> None:
    for number in range(count):
        queue.put(number * number)
    writer.send("done")


def run_for_long(started: Event) -> None:
    started.set()
    time.sleep(30)


def fail() -> None:
    raise LookupError("on purpose")


def with_process(context: BaseContext) -> list[object]:
    """Start a process that sends results through a queue and through a pipe with a selector."""
    queue = context.Queue()
    reader, writer = context.Pipe(duplex=False)
    with reader, writer, DefaultSelector() as selector:
        selector.register(reader, EVENT_READ)
        process = context.Process(target=put_squares, args=(queue, 5, writer))
        process.start()
        found = [queue.get(timeout=20) for _ in range(5)]
        process.join()
        sent = [key.fileobj.recv() for key, _ in selector.select(timeout=5)]
    return [*found, *sent, process.exitcode]


def with_terminated(context: BaseContext) -> list[int]:
    """Stop a running process with SIGTERM; with fork, also some that may not have started yet."""
    started = context.Event()
    process = context.Process(target=run_for_long, args=(started,))
    process.start()
    started.wait(20)
    process.terminate()
    process.join(10)
    found = [process.exitcode]
    # Not with concurrent requests: multiprocessing in another thread may collect the exit status of
    # this process, so that it is missing here for a moment.
    for _ in range(20 if context.get_start_method() == "fork" else 0):
        process = context.Process(target=run_for_long, args=(started,))
        process.start()
        process.terminate()
        process.join(10)
        found.append(process.exitcode)
    return found


def with_pool(context: BaseContext) -> list[int]:
    """Use a pool, which stops its processes with SIGTERM."""
    with context.Pool(2) as pool:
        return pool.map(square, range(5))


def with_executor(context: BaseContext | None) -> list[int]:
    """Use an executor, including an exception in one of its processes."""
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        found = list(executor.map(square, range(5)))
        failed = executor.submit(fail).exception(timeout=20)
    return [*found, str(failed) == "on purpose"]


def with_kept(context: BaseContext) -> list[int]:
    """Use an executor that is kept for later requests."""
    method = context.get_start_method()
    if method not in kept:
        kept[method] = ProcessPoolExecutor(2, mp_context=context)
    return list(kept[method].map(square, range(5)))


WAYS: dict[str, Callable[[BaseContext], list[object]]] = {
    "process": with_process,
    "terminated": with_terminated,
    "pool": with_pool,
    "executor": with_executor,
    "kept": with_kept,
}


@blueprint.get("/<way>/<method>")
def functions(way: str, method: str) -> dict[str, object]:
    """Run functions in processes with this start method."""
    return {"found": WAYS[way](multiprocessing.get_context(method))}
