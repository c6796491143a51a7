"""Outgoing calls: HTTP and HTTPS by three libraries, DNS, sockets."""

import hashlib
import http.client
import os
import socket
import ssl
import urllib.request

import httpx
import requests
import urllib3
from flask import Blueprint, request

blueprint = Blueprint("calls", __name__)


def with_requests(url: str) -> tuple[int, bytes]:
    response = requests.get(url, timeout=10)
    return response.status_code, response.content


def with_session(url: str) -> tuple[int, bytes]:
    with requests.Session() as session:
        response = session.get(url, timeout=10, stream=True)
        return response.status_code, b"".join(response.iter_content(8192))


def with_httpx(url: str) -> tuple[int, bytes]:
    response = httpx.get(url, timeout=10, verify=ssl.create_default_context())
    return response.status_code, response.content


def with_urllib3(url: str) -> tuple[int, bytes]:
    # Created in the view, so that its locks and context belong to the request's thread or greenlet.
    with urllib3.PoolManager(ca_certs=os.environ["SSL_CERT_FILE"]) as pool:
        response = pool.request("GET", url, timeout=10)
        return response.status, response.data


def with_urllib(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.status, response.read()


def with_http_client(url: str) -> tuple[int, bytes]:
    scheme, _, host, path = url.split("/", 3)
    kind = http.client.HTTPSConnection if scheme == "https:" else http.client.HTTPConnection
    connection = kind(host, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


LIBRARIES = {
    "requests": with_requests,
    "session": with_session,
    "httpx": with_httpx,
    "urllib3": with_urllib3,
    "urllib": with_urllib,
    "http.client": with_http_client,
}


@blueprint.get("/http/<library>")
def fetch(library: str) -> dict[str, object]:
    """Fetch ``?url=`` with this library; return the status and the SHA-256 of the body."""
    status, body = LIBRARIES[library](request.args["url"])
    return {"status": status, "sha256": hashlib.sha256(body).hexdigest()}


@blueprint.get("/imported-here")
def imported_here() -> dict[str, object]:
    """Import clients in the view, as functions do that are rarely used."""
    import email.mime.text
    import ftplib
    import smtplib

    return {"names": [email.mime.text.__name__, ftplib.__name__, smtplib.__name__]}


@blueprint.get("/dns/<name>")
def resolve(name: str) -> dict[str, object]:
    """Resolve a name; return whether it has an address."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return {"found": False}
    return {"found": bool(found)}


@blueprint.get("/socket")
def connect() -> dict[str, object]:
    """Send a request over a new socket; return the status line."""
    with socket.create_connection(("upstream", 8000), timeout=10) as connection:
        connection.sendall(b"GET /bytes/10 HTTP/1.0\r\n\r\n")
        data = b"".join(iter(lambda: connection.recv(4096), b""))
    return {"line": data.split(b"\r\n")[0].decode(), "length": len(data.split(b"\r\n\r\n")[1])}


@blueprint.get("/pair")
def socket_pair() -> dict[str, object]:
    """Send bytes between two sockets of this process."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x" * 1000)
        return {"length": len(right.recv(1000, socket.MSG_WAITALL))}
