"""A failure affects one request: 500 or a cut connection. It is logged, and the service continues.

PEP 3333 does not define how a server handles an exception, so servers differ. Flask responds to an
Exception with 500, and leaves other exceptions to the server.
"""

import json
from collections.abc import Sequence
from uuid import uuid4

import pytest
import requests

from tests.lib.stack import Stack, wait_until

from .together import results, together

KINDS = ["exception", "exit", "interrupt", "generator-exit", "base"]
# Subclasses of Exception, like the first kind.
MORE = ["stop-iteration", "memory", "recursion", "os", "warning"]


def processes(stack: Stack) -> tuple[float, float]:
    """Return when the newest of the responding processes was started, and the time now."""
    found = results(stack, "/failures/process")
    return max(each["started"] for each in found), max(each["now"] for each in found)


def fail_beside_others(stack: Stack, path: str) -> list[tuple[int | None, str | None]]:
    """Send four failing requests among four successful ones; return the results of the failing.

    A result is a status, or None for a truncated response, and the request's id.
    """
    _, before = processes(stack)
    paths = [path, "/failures/process"] * 4
    responses = together(stack, paths, stream=True)
    assert [response.status_code for response in responses[1::2]] == [200] * 4
    ends = [end(response) for response in responses]
    newest, _ = processes(stack)
    assert newest <= before, "a process was replaced"
    ids = [response.headers.get("X-Request-ID") for response in responses]
    return list(zip(ends, ids, strict=True))[::2]


def end(response: requests.Response) -> int | None:
    """Return a response's status, or None if it was truncated."""
    with response:
        try:
            assert "Traceback" not in response.text
        except requests.RequestException:
            return None
        return response.status_code


def tracebacks(stack: Stack, token: str, times: int) -> list[str]:
    """Wait for ``times`` tracebacks with this token, and return their request ids."""
    app = stack.container("app")

    def found() -> list[str]:
        log = app.logs(tail=2000).decode().splitlines()
        # A traceback ends with the exception's message.
        lines = [line for line in log if f": {token}" in line]
        return lines if len(lines) >= times else []

    lines = wait_until(found, timeout=5, told=lambda: app.logs(tail=50).decode())
    return [json.loads(line)["request_id"] for line in lines]


def assert_logged_once(stack: Stack, token: str, ends: Sequence[tuple[object, str | None]]) -> None:
    assert sorted(tracebacks(stack, token, len(ends))) == sorted(request for _, request in ends)


@pytest.mark.parametrize("kind", KINDS + MORE)
def test_in_the_view(stack: Stack, kind: str):
    """Exceptions in a view, SystemExit and MemoryError among them."""
    ends = fail_beside_others(stack, f"/failures/view/{kind}/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {500}
    assert_logged_once(stack, token, ends)


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_first_part(stack: Stack, kind: str):
    """Exceptions in a generator before its first part."""
    ends = fail_beside_others(stack, f"/failures/generator/{kind}/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {500}
    assert_logged_once(stack, token, ends)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_first_part(stack: Stack, kind: str):
    """Exceptions in a generator after its first part."""
    ends = fail_beside_others(stack, f"/failures/generator/{kind}/3/{(token := uuid4().hex)}")
    # 502 is the proxy's response if the server had not sent anything yet.
    assert {status for status, _ in ends} <= {None, 502}
    assert_logged_once(stack, token, ends)
    # Servers add this when they notice that a response failed.
    assert "ResponseFailed" not in stack.container("app").logs(tail=2000).decode()


@pytest.mark.parametrize("kind", ["exception", "exit"])
@pytest.mark.parametrize("place", ["before", "teardown"])
def test_around_the_view(stack: Stack, place: str, kind: str):
    """Exceptions in before_request and teardown functions."""
    ends = fail_beside_others(stack, f"/failures/{place}/{kind}/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {500}
    assert_logged_once(stack, token, ends)


@pytest.mark.parametrize("kind", ["exception", "exit"])
def test_in_after_request(stack: Stack, kind: str):
    """Exceptions in after_request functions; Flask runs those for its 500 too."""
    ends = fail_beside_others(stack, f"/failures/after/{kind}/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {500}
    assert set(tracebacks(stack, token, len(ends))) == {request for _, request in ends}


@pytest.mark.parametrize("kind", ["exception", "exit"])
def test_when_the_response_closes(stack: Stack, kind: str):
    """Exceptions in call_on_close functions; the response was sent by then."""
    ends = fail_beside_others(stack, f"/failures/close/{kind}/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {200}
    assert_logged_once(stack, token, ends)


def test_in_the_error_handler(stack: Stack):
    """Exceptions in error handlers."""
    ends = fail_beside_others(stack, f"/failures/view/mishandled/{(token := uuid4().hex)}")
    assert {status for status, _ in ends} == {500}
    assert set(tracebacks(stack, token, len(ends))) == {request for _, request in ends}


def test_abort(stack: Stack):
    """abort() and HTTP exceptions in views and generators."""
    for path in ("/failures/view/abort/x", "/failures/view/http/x"):
        assert {response.status_code for response in together(stack, [path] * 4)} == {410}
    ends = fail_beside_others(stack, "/failures/generator/http/x")
    assert {status for status, _ in ends} == {500}


@pytest.mark.parametrize(
    "kind", ["json-loads", "json-dumps", "repr", "compare", "equal", "compile"]
)
def test_deep_recursion(stack: Stack, kind: str):
    """Recursion through C code, such as json's."""
    ends = fail_beside_others(stack, f"/failures/deep/{kind}")
    assert {status for status, _ in ends} == {200}


def test_deep_json_of_a_client(stack: Stack):
    """Deeply nested JSON from a client."""
    data = "[" * 100_000 + "]" * 100_000
    path, headers = "/failures/json", {"Content-Type": "application/json"}
    assert results(stack, path, method="POST", data=data, headers=headers)
