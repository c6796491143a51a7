"""Errors: the application's and the proxy's, with pages that give nothing away."""

from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
import requests

from tests.harness.stack import Stack


def harmless(answer: requests.Response) -> bool:
    """Say whether an error page is one for people, and nothing but that."""
    told = answer.text + str(answer.headers)
    secrets = ("Traceback", "probe fails", "/app/", "gunicorn", "Python", "Debian", ":8000")
    assert not [secret for secret in secrets if secret in told]
    assert answer.headers["Server"] in ("nginx", "Apache")  # no version, no application server
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return True


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing-here", 404),
        ("POST", "/", 405),
        ("GET", "/probe/fail", 500),
        ("POST", "/static/style.css", 405),
        ("GET", "/static/nothing-here", 404),
    ],
)
def test_errors_give_nothing_away(stack: Stack, method: str, path: str, status: int):
    answer = stack.request(method, path)
    assert answer.status_code == status
    assert harmless(answer)


@pytest.mark.parametrize("page", ["502", "504", "502.html", "504.html", ""])
def test_error_pages_are_for_errors_alone(stack: Stack, page: str):
    assert stack.get(f"/.proxy-errors/{page}").status_code in (403, 404)


def test_error_while_handling_an_error(stack: Stack):
    answer = stack.get("/probe/fail-twice")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "probe" not in answer.text
    assert stack.get("/health/live").status_code == 200


def test_errors_do_not_add_up(stack: Stack):
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: requests.get(f"{stack.url}/probe/fail", timeout=9), range(40))
        )
    assert {answer.status_code for answer in answers} == {500}
    assert stack.get("/").status_code == 200


@pytest.mark.parametrize("size", [2000, 6000])
def test_long_header_in_an_answer(stack: Stack, size: int):
    answer = stack.get(f"/probe/long-header/{size}")
    assert answer.status_code == 200
    assert len(answer.headers["X-Long"]) == size


@pytest.mark.disruptive
def test_application_away(stack: Stack):
    stack.compose("stop app")
    try:
        answer = stack.get("/")
    finally:
        stack.start()
    assert answer.status_code in (502, 503, 504)
    assert harmless(answer)
    assert "The service is not available now. Please try again later." in answer.text


@pytest.mark.disruptive
def test_application_that_does_not_listen(stack: Stack):
    """Its container is there, and refuses connections: the proxy is sent to another port."""
    recreate = "up --wait --no-build --no-deps --force-recreate proxy"
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("PORT", "8001")
        stack.compose(recreate)
        answers = [stack.get("/") for _ in range(9)]
    stack.compose(recreate)
    assert median(answer.elapsed.total_seconds() for answer in answers) < 0.1
    for answer in answers:
        assert answer.status_code in (502, 503)
        assert harmless(answer)
        assert "The service is not available now. Please try again later." in answer.text
