"""A view may use threads, and the application may start threads."""

from collections import defaultdict
from uuid import uuid4

from requests import post

from tests.lib.stack import Stack, wait_until
from tests.pairs.project import PACKAGE

from .together import results, together

NAMES = [f"name-{number}" for number in range(8)]


def test_started_at_import(stack: Stack):
    """Threads started at import."""
    assert results(stack, "/threads/background/7") == [{"square": 49}] * 8


def test_started_in_the_view(stack: Stack):
    """Threads started in the view."""
    assert results(stack, "/threads/started") == [{"squares": [0, 1, 4, 9, 16]}] * 8


def test_after_the_response(stack: Stack):
    """Threads that go on after the response."""
    name = uuid4().hex
    path = f"/threads/later/{name}"
    assert post(stack.url + path, timeout=15).json() == {"finished": False}
    expected = {"by": f"later-{name}"}
    wait_until(lambda: stack.get(path).json() == expected, timeout=5)


def test_own_values(stack: Stack):
    """Separate threading.local, contextvars and `g` for simultaneous requests."""
    responses = together(stack, [f"/threads/own/{name}" for name in NAMES])
    assert [response.json() for response in responses] == [{"found": [name] * 4} for name in NAMES]


def test_lock(stack: Stack):
    """A lock that was made at import."""
    counted = defaultdict(list)
    for result in results(stack, "/threads/counted"):
        counted[result["pid"]].append(result["number"])
    for numbers in counted.values():
        assert sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))


def test_primitives(stack: Stack):
    """Conditions, events, barriers, semaphores."""
    expected = {"whole": True, "most": 2, "waited": False}
    assert results(stack, "/threads/primitives") == [expected] * 8


def test_executors(stack: Stack):
    """ThreadPoolExecutor, made at import and in the view."""
    expected = {"sum": 6, "squares": [0, 1, 4, 9, 16]}
    assert results(stack, "/threads/executors") == [expected] * 8


def test_request_in_a_thread(stack: Stack):
    """The request in a thread, by copy_current_request_context."""
    responses = together(stack, [f"/threads/context?name={name}" for name in NAMES])
    assert [response.json() for response in responses] == [
        {"found": [PACKAGE, name]} for name in NAMES
    ]


def test_timer(stack: Stack):
    """threading.Timer."""
    assert results(stack, "/threads/timer") == [{"called": True}] * 8


def test_held_interpreter(stack: Stack):
    """C code that holds the GIL, with other concurrent requests."""
    paths = ["/threads/hold", "/threads/timer"] * 4
    expected = [{"match": False}, {"called": True}] * 4
    assert [response.json() for response in together(stack, paths)] == expected
