"""A pytest plugin for the tests of httpbin and requests: they use the httpbin at BASE_URL.

It runs in a virtual environment with the packages of requirements.txt.
"""

import os
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import httpbin as package
import pytest
from pytest_httpbin.plugin import httpbin_ca_bundle, httpbin_secure  # noqa: F401
from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import is_hop_by_hop_header
from werkzeug.test import Client

BASE_URL = os.environ["BASE_URL"]


def forward(environ, start_response):
    """Forward a test client's request unchanged over HTTP, as a WSGI application."""
    # Some tests set a header without a name.
    headers = {name: value for name, value in EnvironHeaders(environ) if name}
    body = environ["wsgi.input"].read()
    if chunked := "Transfer-Encoding" in headers:
        headers.pop("Content-Length", None)
    target = quote(environ["PATH_INFO"], safe="/:", encoding="latin-1")
    if query := environ["QUERY_STRING"]:
        target += "?" + query
    connection = HTTPConnection(urlsplit(BASE_URL).netloc, timeout=30)
    connection.request(
        environ["REQUEST_METHOD"],
        target,
        body=[body] if chunked else body,
        headers=headers,
        encode_chunked=chunked,
    )
    response = connection.getresponse()
    start_response(
        f"{response.status} {response.reason}",
        [field for field in response.getheaders() if not is_hop_by_hop_header(field[0])],
    )
    return [response.read()]


package.app.test_client = lambda: Client(forward)


class Server:
    """The server object that pytest-httpbin provides to tests."""

    url = BASE_URL

    def __add__(self, path):
        return self.url + path


@pytest.fixture(scope="session")
def httpbin():
    return Server()
