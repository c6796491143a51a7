"""Coroutines: `async def` views and hooks, and event loops that a view runs itself."""

import asyncio
import contextvars
import ssl
import sys
import time

import httpcore  # noqa: F401 (httpx's first call imports it; greenlets may see it half imported)
import httpx
from asgiref.sync import sync_to_async
from flask import Blueprint, Response, g, request

blueprint = Blueprint("coroutines", __name__)
variable: contextvars.ContextVar[str] = contextvars.ContextVar("coroutine's variable", default="")
torn_down: dict[str, bool] = {}


class AnError(Exception):
    """An exception for the error handler below."""


@blueprint.before_request
async def before() -> None:
    await asyncio.sleep(0.01)
    g.name = request.args.get("name", "")


@blueprint.after_request
async def after(response: Response) -> Response:
    await asyncio.sleep(0)
    response.headers["X-Name"] = g.name
    return response


@blueprint.teardown_request
async def teardown(error: BaseException | None) -> None:
    await asyncio.sleep(0.01)
    torn_down[g.name] = error is None


@blueprint.errorhandler(AnError)
async def handle(error: AnError) -> tuple[dict[str, object], int]:
    await asyncio.sleep(0.01)
    return {"error": str(error)}, 418


@blueprint.get("/sleep")
async def sleep() -> dict[str, object]:
    """Wait without blocking."""
    await asyncio.sleep(0.3)
    return {"name": g.name}


@blueprint.get("/error")
async def error() -> None:
    """Raise an exception that a coroutine handles."""
    await asyncio.sleep(0.05)
    raise AnError(g.name)


@blueprint.get("/torn-down")
def were_torn_down() -> dict[str, object]:
    """Return the names of the requests whose teardown ran, and whether they succeeded."""
    return torn_down


@blueprint.get("/gather")
async def gather() -> dict[str, object]:
    """Run concurrent coroutines; each has this request and its own context variables."""

    async def square(number: int) -> tuple[int, str, str]:
        variable.set(f"{g.name}-{number}")
        await asyncio.sleep(0.3)
        return number * number, variable.get(), request.args["name"]

    started = time.monotonic()
    found = await asyncio.gather(*map(square, range(5)))
    return {"found": found, "together": time.monotonic() - started < 1.2}


@blueprint.get("/httpx")
async def call() -> dict[str, object]:
    """Make concurrent outgoing calls over HTTP and HTTPS."""
    async with httpx.AsyncClient(timeout=10, verify=ssl.create_default_context()) as client:
        responses = await asyncio.gather(
            client.get("http://upstream:8000/wait/0.2"),
            client.get("https://upstream:8443/bytes/100000"),
        )
    return {"lengths": [len(response.content) for response in responses]}


@blueprint.get("/threads")
async def threads() -> dict[str, object]:
    """Run plain functions from a coroutine, by asyncio and by asgiref."""
    first = await asyncio.to_thread(pow, 2, 5)
    second = await sync_to_async(lambda: g.name)()
    third = await sync_to_async(pow, thread_sensitive=False)(2, 6)
    return {"found": [first, second, third]}


@blueprint.get("/program")
async def program() -> dict[str, object]:
    """Run a program from a coroutine."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(6 * 7)", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return {"status": process.returncode, "output": output.decode()}


@blueprint.get("/run")
def run() -> dict[str, object]:
    """Run an event loop in a plain view."""

    async def name() -> str:
        await asyncio.sleep(0.2)
        return request.args["name"]

    return {"name": asyncio.run(name())}
