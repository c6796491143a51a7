"""Concurrent requests, because abilities must also work under load."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from requests import Response

from tests.lib.load import new_session
from tests.lib.stack import Stack

# As many as the threads of a process.
AT_A_TIME = 8

# Paths of each group of abilities. The groups' tests check the responses.
QUICK = [
    "/calls/http/requests?url=http://upstream:8000/bytes/1000",
    "/calls/http/httpx?url=http://upstream:8000/bytes/1000",
    "/calls/http/urllib3?url=http://upstream:8000/bytes/1000",
    "/calls/dns/upstream",
    "/calls/socket",
    "/calls/pair",
    "/failures/view/exception/x",
    "/failures/view/exit/x",
    "/failures/generator/exception/x",
    "/failures/generator/exception/3/x",
    "/failures/teardown/exception/x",
    "/failures/process",
    "/lifecycle/isolated/x?name=x",
    "/lifecycle/cookies/10/50",
    "/lifecycle/session/1000",
    "/lifecycle/wsgi/list/x",
    "/lifecycle/wsgi/empty-parts/x",
    "/memory/local/1",
    "/threads/executors",
    "/threads/timer",
    "/output/exception",
    "/forms/temporary",
]
# The last two take as long as a hundred of the others, so they are less frequent.
MIXED = [*QUICK * 4, "/coroutines/sleep", "/processes/python"]


def together(
    stack: Stack,
    paths: Sequence[str],
    method: str = "GET",
    at_a_time: int = AT_A_TIME,
    timeout: float = 40,
    **arguments,
) -> list[Response]:
    """Send a request to each path, ``at_a_time`` concurrently; return the responses in order."""
    arguments = {"allow_redirects": False} | arguments
    url = stack.url

    def send(path: str) -> Response:
        with new_session() as session:
            return session.request(method, url + path, timeout=timeout, **arguments)

    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(send, paths))


def results(stack: Stack, path: str, times: int = AT_A_TIME, **arguments) -> list[object]:
    """Send ``times`` concurrent requests to a path; return the JSON of each response."""
    found = []
    for response in together(stack, [path] * times, **arguments):
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text[:2000]}"
        found.append(response.json())
    return found
