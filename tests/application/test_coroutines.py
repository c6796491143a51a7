"""Views and hooks may be coroutines."""

from uuid import uuid4

import pytest

from tests.lib.stack import Stack, wait_until

from .together import results, together


@pytest.mark.parametrize("at_a_time", [1, 8], ids=["alone", "together"])
def test_async_views(stack: Stack, at_a_time: int):
    """`async def` views and hooks."""
    names = [uuid4().hex for _ in range(at_a_time)]
    paths = [f"/coroutines/sleep?name={name}" for name in names]
    responses = together(stack, paths)
    assert [(response.status_code, response.json()["name"]) for response in responses] == [
        (200, name) for name in names
    ]
    assert [response.headers["X-Name"] for response in responses] == names
    expected = dict.fromkeys(names, True)
    found: dict[str, bool] = {}

    def torn_down() -> bool:
        # Each process knows only its own requests, and a teardown may run after the response.
        for known in results(stack, "/coroutines/torn-down"):
            found.update(known)
        return expected.items() <= found.items()

    wait_until(torn_down, timeout=5, told=lambda: str(found))


def test_async_error_handlers(stack: Stack):
    """`async def` error handlers."""
    names = [uuid4().hex for _ in range(8)]
    responses = together(stack, [f"/coroutines/error?name={name}" for name in names])
    assert [response.status_code for response in responses] == [418] * 8
    assert [response.json() for response in responses] == [{"error": name} for name in names]


def test_gather(stack: Stack):
    """asyncio.gather, with contextvars."""
    found = [[number**2, f"one-{number}", "one"] for number in range(5)]
    expected = {"found": found, "together": True}
    assert results(stack, "/coroutines/gather?name=one") == [expected] * 8


def test_async_client(stack: Stack):
    """Outgoing HTTP and HTTPS with httpx.AsyncClient."""
    assert results(stack, "/coroutines/httpx") == [{"lengths": [6, 100_000]}] * 8


def test_functions_from_coroutines(stack: Stack):
    """Plain functions from coroutines, by asyncio.to_thread and asgiref."""
    assert results(stack, "/coroutines/threads?name=one") == [{"found": [32, "one", 64]}] * 8


def test_programs_from_coroutines(stack: Stack):
    """Programs from coroutines."""
    assert results(stack, "/coroutines/program") == [{"status": 0, "output": "42\n"}] * 8


def test_asyncio_run(stack: Stack):
    """asyncio.run in a plain view."""
    assert results(stack, "/coroutines/run?name=one") == [{"name": "one"}] * 8
