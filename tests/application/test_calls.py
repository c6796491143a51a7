"""A view may call other services."""

import hashlib

import pytest

from tests.lib.stack import Stack

from .together import results


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "library", ["requests", "session", "httpx", "urllib3", "urllib", "http.client"]
)
def test_outgoing_calls(stack: Stack, library: str, scheme: str):
    """Outgoing HTTP and HTTPS with requests, httpx, urllib3 and the standard library."""
    port = {"http": 8000, "https": 8443}[scheme]
    expected = {"status": 200, "sha256": hashlib.sha256(b"x" * 300_000).hexdigest()}
    path = f"/calls/http/{library}?url={scheme}://upstream:{port}/bytes/300000"
    assert results(stack, path) == [expected] * 8


def test_import_in_the_view(stack: Stack):
    """Client libraries imported in the view."""
    assert results(stack, "/calls/imported-here")


@pytest.mark.parametrize(("name", "found"), [("upstream", True), ("no-such-name", False)])
def test_dns(stack: Stack, name: str, found: bool):
    """DNS queries."""
    assert results(stack, f"/calls/dns/{name}") == [{"found": found}] * 8


def test_sockets(stack: Stack):
    """Sockets that the view creates itself."""
    assert results(stack, "/calls/socket") == [{"line": "HTTP/1.1 200 OK", "length": 10}] * 8
    assert results(stack, "/calls/pair") == [{"length": 1000}] * 8
