"""Threads: started by a view and at import, what they share, and what is a request's own."""

import contextvars
import os
import queue
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from flask import Blueprint, copy_current_request_context, current_app, g, request

blueprint = Blueprint("threads", __name__)

# Created at import, as in many applications.
jobs: "queue.Queue[tuple[int, queue.Queue[int]]]" = queue.Queue()
executor = ThreadPoolExecutor(2)
# Calls of the executor wait for each other in twos. Otherwise its second thread would start in a
# late request or never, because a call may end before the next one is submitted.
both = threading.Barrier(2)
lock = threading.Lock()
local = threading.local()
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
counted = [0]


def work() -> None:
    """Square each number of the queue in an endless loop."""
    while True:
        number, reply = jobs.get()
        reply.put(number * number)


threading.Thread(target=work, daemon=True).start()


@blueprint.get("/background/<int:number>")
def background(number: int) -> dict[str, object]:
    """Return the square of a number, from the thread that was started at import."""
    reply: queue.Queue[int] = queue.Queue()
    jobs.put((number, reply))
    try:
        return {"square": reply.get(timeout=5)}
    except queue.Empty:
        return {"square": None}


@blueprint.get("/started")
def started() -> dict[str, object]:
    """Start threads and wait for them."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(n * n)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"squares": sorted(found)}


@blueprint.post("/later/<name>")
def later(name: str) -> dict[str, object]:
    """Start a thread that continues after the response."""
    # A file, because another process may handle the next request.
    result = Path(f"/tmp/later-{name}")

    def finish() -> None:
        time.sleep(0.3)
        result.write_text(threading.current_thread().name, encoding="utf-8")

    threading.Thread(target=finish, name=f"later-{name}").start()
    return {"finished": result.exists()}


@blueprint.get("/later/<name>")
def found_later(name: str) -> dict[str, object]:
    """Return the result of that thread, and delete it."""
    result = Path(f"/tmp/later-{name}")
    text = result.read_text(encoding="utf-8") if result.exists() else ""
    if text:
        result.unlink()
    return {"by": text}


@blueprint.get("/own/<name>")
def own(name: str) -> dict[str, object]:
    """Store a value that only this request may see, while other requests do the same."""
    local.value = g.value = name
    variable.set(name)
    time.sleep(0.2)
    return {"found": [local.value, g.value, variable.get(), request.view_args["name"]]}


@blueprint.get("/counted")
def count() -> dict[str, object]:
    """Count the requests, one at a time by a lock."""
    with lock:
        number = counted[0]
        time.sleep(0.02)
        counted[0] = number + 1
    return {"pid": os.getpid(), "number": number}


@blueprint.get("/primitives")
def primitives() -> dict[str, object]:
    """Coordinate threads by a condition, an event, a barrier and a semaphore."""
    condition, event = threading.Condition(), threading.Event()
    barrier, semaphore = threading.Barrier(3), threading.Semaphore(2)
    inside, most, ready = [0], [0], []

    def enter() -> None:
        barrier.wait(10)
        with semaphore:
            with condition:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            event.wait(0.05)
            with condition:
                inside[0] -= 1
                ready.append(True)
                condition.notify_all()

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    with condition:
        whole = condition.wait_for(lambda: len(ready) == 3, timeout=10)
    return {"whole": whole, "most": most[0], "waited": event.wait(0.01)}


def power(exponent: int) -> int:
    """Return 2 to the power of a number, when another call is running too."""
    both.wait(timeout=10)
    return 2**exponent


@blueprint.get("/executors")
def executors() -> dict[str, object]:
    """Use an executor that was created at import, and another one of the view."""
    first = sum(
        future.result() for future in as_completed(executor.submit(power, n) for n in (1, 2))
    )
    with ThreadPoolExecutor(3) as pool:
        second = list(pool.map(lambda n: n * n, range(5)))
    return {"sum": first, "squares": second}


@blueprint.get("/context")
def context() -> dict[str, object]:
    """Use the request in a thread."""

    @copy_current_request_context
    def name() -> list[str]:
        return [current_app.name, request.args["name"]]

    return {"found": executor.submit(name).result(timeout=10)}


@blueprint.get("/timer")
def timer() -> dict[str, object]:
    """Call a function after a short delay."""
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    return {"called": event.wait(10)}


@blueprint.get("/hold")
def hold() -> dict[str, object]:
    """Hold the GIL in C code for some tenths of a second."""
    return {"match": re.match(r"(x+x+)+y", "x" * 22) is not None}
