"""Pages, health, methods and errors."""

import pytest

from tests.harness.stack import Stack
from tests.harness.template import FACTS


def test_front_page_names_the_pair(stack: Stack):
    answer = stack.get("/")
    assert answer.status_code == 200
    assert FACTS["_servers"][stack.pair.server]["title"] in answer.text
    assert FACTS["_proxies"][stack.pair.proxy]["title"] in answer.text


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(stack: Stack, path: str):
    assert stack.get(path).json() == {"status": "ok"}


def test_proxy_answers_for_itself(stack: Stack):
    assert stack.get("/health/proxy").text == "ok\n"


def test_head_is_get_without_a_body(stack: Stack):
    got, head = stack.get("/"), stack.request("HEAD", "/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert stack.get("/").text == got.text  # on the same connection: nothing was left in it


def test_no_content(stack: Stack):
    answer = stack.get("/probe/empty")
    assert (answer.status_code, answer.content) == (204, b"")
    assert stack.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing-here", 404), ("POST", "/", 405), ("GET", "/probe/fail", 500)],
)
def test_errors_give_nothing_away(stack: Stack, method: str, path: str, status: int):
    answer = stack.request(method, path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert "probe fails" not in answer.text
    assert answer.headers["Server"] in ("nginx", "Apache")  # no version, no application server
