"""Errors of the application and of the proxy, with pages that reveal no internals."""

from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
import requests

from tests.lib.stack import Stack


def harmless(response: requests.Response) -> bool:
    """Check that an error response is an HTML page that reveals no internals."""
    told = response.text + str(response.headers)
    secrets = ("Traceback", "probe fails", "/app/", "gunicorn", "Python", "Debian", ":8000")
    assert not [secret for secret in secrets if secret in told]
    assert response.headers["Server"] in ("nginx", "Apache")  # no version, no application server
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
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
def test_errors_show_no_internals(stack: Stack, method: str, path: str, status: int):
    response = stack.request(method, path)
    assert response.status_code == status
    assert harmless(response)


@pytest.mark.parametrize("page", ["502", "504", "502.html", "504.html", ""])
def test_error_pages_are_only_for_errors(stack: Stack, page: str):
    assert stack.get(f"/.proxy-errors/{page}").status_code in (403, 404)


def test_error_while_handling_an_error(stack: Stack):
    response = stack.get("/probe/fail-twice")
    assert response.status_code == 500
    assert "Traceback" not in response.text
    assert "probe" not in response.text
    assert stack.get("/health/live").status_code == 200


def test_errors_have_no_side_effects(stack: Stack):
    with ThreadPoolExecutor(8) as pool:
        responses = list(
            pool.map(lambda _: requests.get(f"{stack.url}/probe/fail", timeout=9), range(40))
        )
    assert {response.status_code for response in responses} == {500}
    assert stack.get("/").status_code == 200


@pytest.mark.parametrize("size", [2000, 6000])
def test_long_header_in_an_response(stack: Stack, size: int):
    response = stack.get(f"/probe/long-header/{size}")
    assert response.status_code == 200
    assert len(response.headers["X-Long"]) == size


@pytest.mark.destructive
def test_application_unavailable(stack: Stack):
    stack.compose("stop app")
    try:
        response = stack.get("/")
    finally:
        stack.start()
    assert response.status_code in (502, 503, 504)
    assert harmless(response)
    assert "The service is not available now. Please try again later." in response.text


@pytest.mark.destructive
def test_application_that_does_not_listen(stack: Stack):
    """The container runs but refuses connections, because the proxy uses another port."""
    recreate = "up --wait --no-build --no-deps --force-recreate proxy"
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("PORT", "8001")
        stack.compose(recreate)
        responses = [stack.get("/") for _ in range(9)]
    stack.compose(recreate)
    assert median(response.elapsed.total_seconds() for response in responses) < 0.1
    for response in responses:
        assert response.status_code in (502, 503)
        assert harmless(response)
        assert "The service is not available now. Please try again later." in response.text
