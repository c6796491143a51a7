"""The front page in a real browser, behind each proxy, in production and in development."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, Response

from tests.lib.stack import Stack, wait_until
from tests.lib.template import FACTS, PROXIES, SERVERS, Pair

# The server makes no difference here: the first one has the smallest files.
PAIRS = [Pair(SERVERS[0], proxy) for proxy in PROXIES]
DEBUGGED = """
services:
  app:
    environment:
      FLASK_DEBUG: ${FLASK_DEBUG:-0}
      PROXY_FIX_X_FOR: ${PROXY_FIX_X_FOR:-1}
"""
SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 800}}
SCHEMES = ["light", "dark"]
LOOKS = list(product(SIZES, SCHEMES))
# Chromium drops its connections when a network interface is added or removed, for example by other
# stacks on this machine.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
# The error if the browser is still opening the page of the former error during a new navigation.
STILL_SHOWN = 'interrupted by another navigation to "chrome-error:'
# Each size and each scheme once.
some_looks = pytest.mark.parametrize("page", LOOKS[1:3], indirect=True, ids="-".join)


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def stack(request: pytest.FixtureRequest, start) -> Iterator[Stack]:
    with start(request.param, DEBUGGED) as stack:
        yield stack


@pytest.fixture(scope="module")
def debugged(stack: Stack) -> Iterator[Stack]:
    """The stack in Flask's debug mode; tests that use it must come last."""
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("FLASK_DEBUG", "1")
        environ.setenv("ACCESS_LOG", "on")
        restart(stack)
        yield stack


def restart(stack: Stack) -> None:
    """Restart the application with the environment's settings; wait until the proxy reaches it."""
    stack.compose("up --wait --no-build --no-deps app")
    wait_until(lambda: stack.get("/").status_code == 200, timeout=10)


@pytest.fixture(params=LOOKS, ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """An empty page with a screen size and a colour scheme; any error in it fails the test."""
    size, scheme = request.param
    troubles = []
    with browser.new_context(viewport=SIZES[size], color_scheme=scheme) as context:
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "requestfailed", lambda request: troubles.append(f"{request.url}: {request.failure}")
        )
        yield page
    assert [trouble for trouble in troubles if NETWORK_CHANGED not in trouble] == []


def visit(page: Page, url: str) -> Response | None:
    """Open a URL and all resources of its page; return None if a network change interrupts this."""
    failures = []
    page.on("requestfailed", lambda request: failures.append(request.failure))
    try:
        response = page.goto(url, wait_until="networkidle")
    except Error as error:
        if not any(reason in error.message for reason in (NETWORK_CHANGED, STILL_SHOWN)):
            raise
        return None
    return None if NETWORK_CHANGED in failures else response


def look(page: Page, stack: Stack, picture: Path) -> Response:
    """Open the front page, take a screenshot, and check what must be true for all its variants."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    response = wait_until(lambda: visit(page, f"{stack.url}/"), timeout=30)
    page.screenshot(path=picture, full_page=True)
    assert response.status == 200
    assert len(asked) >= 2, "the stylesheet was not requested"
    assert all(url.startswith(f"{stack.url}/") for url in asked), "external resources"
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "too wide"
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 64) == dark, "not in the requested colour scheme"
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    return response


@some_looks
def test_production_shows_no_internals(stack: Stack, page: Page, tmp_path: Path):
    look(page, stack, tmp_path / "page.png")
    lines = page.locator("body").inner_text().split("\n")
    name, description, hint = [line for line in lines if line]
    assert (name, description) == (FACTS["project_name"], FACTS["description"])
    assert "README.md" in hint


def test_development_shows_diagnostics(debugged: Stack, page: Page, tmp_path: Path):
    response = look(page, debugged, tmp_path / "page.png")
    shown = dict(
        zip(
            page.locator("dt").all_inner_texts(),
            page.locator("dt + dd").all_inner_texts(),
            strict=True,
        )
    )
    name = f"{debugged.name}_default"
    (network,) = debugged.docker.networks.get(name).attrs["IPAM"]["Config"]
    proxy = debugged.container("proxy").attrs["NetworkSettings"]["Networks"][name]
    request_id = response.headers["x-request-id"]
    assert debugged.pair.server in shown.pop("Server").lower()
    assert shown == {
        "Proxy": proxy["IPAddress"],
        "Client address": network["Gateway"],
        "Scheme": "http",
        "Host": f"127.0.0.1:{debugged.port}",
        "Path prefix": "/",
        "Request id": request_id,
    }
    # In debug mode, the application's log is text.
    for service in ("app", "proxy"):
        assert debugged.wait_for_log(service, request_id)
    assert page.get_by_text("Check:").count() == 0


@some_looks
def test_a_wrong_setting_is_detected(debugged: Stack, page: Page, tmp_path: Path):
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("PROXY_FIX_X_FOR", "2")
        restart(debugged)
    look(page, debugged, tmp_path / "page.png")
    warning = page.locator("dd.warning")
    assert warning.is_visible()
    assert "set PROXY_FIX_X_FOR to 1" in warning.inner_text()
