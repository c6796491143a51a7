"""The hooks of a request run once, in Flask's order, on every server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest
import requests

from tests.lib.raw_http import Raw
from tests.lib.stack import Stack, wait_until

from .together import AT_A_TIME, results, together

# --- Contexts ---


def test_contexts_of_streams(stack: Stack):
    """request, session and g in streamed responses, with stream_with_context."""
    names = [f"name-{number}" for number in range(AT_A_TIME)]
    responses = together(stack, [f"/lifecycle/context/{name}?name={name}" for name in names])
    expected = [f"{name} {name} {name}\n" * 5 for name in names]
    assert [response.text for response in responses] == expected


def test_contexts_of_simultaneous_requests(stack: Stack):
    """request, session and g of simultaneous requests."""
    names = [f"name-{number}" for number in range(3 * AT_A_TIME)]
    responses = together(stack, [f"/lifecycle/isolated/{name}?name={name}" for name in names])
    assert [response.json() for response in responses] == [
        {"before": [None, None], "after": [name] * 3} for name in names
    ]


# --- Hooks ---

AFTER, CLOSE = "after_this_request", "call_on_close"
EACH = [AFTER, CLOSE, "teardown_appcontext", "teardown_request", "view"]
# A generator that was not started does not run its finally block.
LOST = [each for each in EACH if each != CLOSE]
BEGUN = [*EACH, "generator"]
# Flask 3.1 tears the contexts down after the view, and again after the generator.
CONTEXT = [*BEGUN, "teardown_appcontext", "teardown_request"]


@contextmanager
def hooks(stack: Stack, body: str, expected: list[str], fails: str = "x") -> Iterator[list[str]]:
    """Yield the paths of four requests; then check that each request ran these hooks once."""
    tokens = [uuid4().hex for _ in range(4)]
    yield [f"/lifecycle/hooks/{body}/{fails}/{token}" for token in tokens]
    urls = [f"/lifecycle/notes/{token}" for token in tokens]

    def notes(method: str = "GET") -> list[list[str]]:
        return [sorted(each.json()) for each in together(stack, urls, method=method)]

    wait_until(
        lambda: all(len(each) >= len(expected) for each in notes()),
        timeout=5,
        told=lambda: str(notes()),
    )
    # Hooks that run twice have run by now.
    assert notes("DELETE") == [sorted(expected)] * len(tokens)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("body", ["whole", "empty", "204", "304", "generator", "context"])
def test_hooks_run_once(stack: Stack, body: str, method: str):
    """after_this_request, teardown functions, call_on_close and a generator's finally."""
    begun = {"generator": BEGUN, "context": CONTEXT} if method == "GET" else {}
    with hooks(stack, body, begun.get(body, EACH)) as paths:
        responses = together(stack, paths, method=method)
    status = int(body) if body.isdigit() else 200
    assert {response.status_code for response in responses} == {status}


@pytest.mark.parametrize(
    ("body", "fails", "expected"),
    [
        # The view returned no response that could be closed.
        ("whole", "view", LOST),
        # Flask runs them again for its 500 response.
        ("whole", "after_request", [*LOST, AFTER]),
        ("whole", "teardown", LOST),
        ("generator", "first", BEGUN),
        ("generator", "later", BEGUN),
        ("context", "first", CONTEXT),
        ("context", "later", CONTEXT),
    ],
)
def test_hooks_run_once_in_spite_of_failures(
    stack: Stack, body: str, fails: str, expected: list[str]
):
    """The same when the view, the generator, after_request or a teardown function fails."""
    with hooks(stack, body, expected, fails) as paths, suppress(requests.RequestException):
        together(stack, paths)


def test_hooks_run_once_when_clients_leave(stack: Stack):
    """The same when clients disconnect in the middle of a streamed response."""
    with hooks(stack, "endless", CONTEXT) as paths, ThreadPoolExecutor() as pool:

        def leave(path: str) -> None:
            with Raw(stack) as client:
                client.request(f"GET {path} HTTP/1.1")
                assert client.begin().readline() == b"begun\n"

        list(pool.map(leave, paths))


# --- Cookies ---


def test_cookies(stack: Stack):
    """Many cookies, and large ones."""
    for count, size in ((40, 60), (3, 1000)):
        (path,) = (f"/lifecycle/cookies/{count}/{size}",)
        expected = {f"cookie-{number}": f"{number}-".ljust(size, "x") for number in range(count)}
        for response in together(stack, [path] * AT_A_TIME):
            assert response.cookies.get_dict() == expected
        assert results(stack, path, cookies=expected) == [expected] * AT_A_TIME


def test_large_session(stack: Stack):
    """A session of the size that browsers keep."""

    def visit(_: int) -> list[int]:
        with requests.Session() as client:
            url = f"{stack.url}/lifecycle/session/2500"
            return [client.get(url, timeout=9).json()["length"] for _ in range(2)]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        assert list(pool.map(visit, range(AT_A_TIME))) == [[0, 2500]] * AT_A_TIME


# --- WSGI ---


@pytest.mark.parametrize(
    "kind",
    [
        *("list", "tuple", "bytes-subclass", "sized", "empty-parts", "write", "write-only"),
        *("closed", "length", "late-start", "start-twice", "reason", "many-headers", "latin"),
    ],
)
def test_wsgi(stack: Stack, kind: str):
    """What PEP 3333 lets an application do."""
    tokens = [uuid4().hex for _ in range(AT_A_TIME)]
    paths = [f"/lifecycle/wsgi/{kind}/{token}" for token in tokens]
    responses = together(stack, paths, timeout=8)
    assert {response.text for response in responses} == {"one two three"}
    status = {"start-twice": 503, "reason": 299}.get(kind, 200)
    for response in responses:
        assert (response.status_code, response.headers["X-Kind"]) == (status, "wsgi")
        if kind == "length":
            assert response.headers["Content-Length"] == "13"
        if kind == "latin":
            assert response.headers["X-Latin"] == "d\xe9j\xe0 vu"
        if kind == "many-headers":
            assert response.headers["X-Same"].split(", ") == [str(n) for n in range(20)]
    if kind in ("closed", "length"):
        for token in tokens:
            notes = f"/lifecycle/notes/{token}"
            wait_until(lambda notes=notes: stack.get(notes).json(), timeout=5)
            assert stack.request("DELETE", notes).json() == ["close"]
