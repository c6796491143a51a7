"""Requirements for a service on every platform: the core of the conformance tests, by URL.

The application has the probe's views (tests/pairs/probe), and a load balancer is in front of it.
"""

import hashlib
import os
import re
from urllib.parse import urljoin

import pytest
import requests

from tests.lib.template import EXPECTATIONS

SPOOFED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;host=evil.example",
}
# Other spellings of headers that a front end or a proxy sets, or that become WSGI variables.
SPELLINGS = (
    "X_Auth_User",
    "X-Auth_User",
    "x_auth_user",
    "X_Forwarded_For",
    "X_Forwarded_Proto",
    "X_Forwarded_Host",
    "X_Forwarded_Prefix",
    "X_Request_ID",
    "X_Real_IP",
    "Script_Name",
    "SCRIPT_NAME",
    "Path_Info",
    "Remote_Addr",
    "Remote_User",
    "Content_Type",
    "Content_Length",
    "Transfer_Encoding",
    "If_None_Match",
)
# Headers that no platform's front end sets: their values come from the client.
TRACE = {
    "X-Request-ID": "chosen-by-the-client",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "chosen=by-the-client",
    "baggage": "chosen=by-the-client",
}


def get(url: str, headers: dict[str, str] | None = None) -> requests.Response:
    """Send a GET request, without following redirects."""
    return requests.get(url, headers=headers, timeout=15, allow_redirects=False)


def check_client_and_address(url: str) -> None:
    """Check that spoofed headers change neither the client address nor the HTTPS base URL."""
    for spoofed in ({}, SPOOFED):
        response = get(f"{url}/probe/request", headers={"Host": "service.example"} | spoofed)
        assert response.status_code == 200
        told = response.json()
        assert told["address"] == response.headers["X-Balancer-Client"], told
        assert told["root"] == "https://service.example/", told
    redirect = get(f"{url}/probe/redirect/address", headers={"Host": "service.example"} | SPOOFED)
    assert redirect.headers["Location"] == "https://service.example/probe/request"


def check_https(url: str) -> None:
    """Check that responses to HTTPS requests have Strict-Transport-Security."""
    response = get(f"{url}/probe/request", headers={"Host": "service.example"})
    assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def check_spellings(url: str) -> None:
    """Check that other spellings of a header neither replace it nor reach the application."""
    reached = {}
    for name in SPELLINGS:
        for headers in ({name: "6.6.6.6"}, {"X-Filler": "1", name: "6.6.6.6"}):
            response = get(f"{url}/probe/request", headers={"Host": "service.example"} | headers)
            if response.status_code != 200:
                reached[name] = response.status_code
                continue
            told = response.json()
            seen = {header: value for header, value in told["headers"] if "6.6.6.6" in value}
            right = told["address"] == response.headers["X-Balancer-Client"]
            right &= told["root"] == "https://service.example/"
            right &= dict(told["headers"]).get("X-Auth-User") == "real"
            if seen or not right:
                reached[name] = seen or told
    assert reached == {}, "names that reached the application"


def check_trace(url: str) -> None:
    """Check that clients can neither choose the request ID in the logs nor continue a trace."""
    response = get(f"{url}/probe/request", headers=TRACE)
    told = {name.lower(): value for name, value in response.json()["headers"]}
    assert {name for name in TRACE if told.get(name.lower()) == TRACE[name]} == set()
    assert response.headers.get("X-Request-ID") != TRACE["X-Request-ID"]


def check_health(url: str) -> None:
    """Check that health endpoints return 200 without a redirect: platforms do not follow any."""
    for path in ("/health/live", "/health/ready"):
        response = get(url + path, headers={"Host": "10.0.0.1"})
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def check_static_files(url: str) -> None:
    """Check that static files are served, and that conditional requests get 304.

    Also by the URLs in a page, which may have a hash.
    """
    links = re.findall('href="([^"]*/static/.*?)"', get(f"{url}/").text)
    assert len(links) == 2
    for link in links:
        assert get(urljoin(url, link)).status_code == 200
    response = get(f"{url}/static/style.css")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/css")
    again = get(f"{url}/static/style.css", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


def check_bodies(url: str, *, chunked: bool = True) -> None:
    """Check that uploads arrive complete, with a length or chunked; too long ones get 413."""
    for size in (0, 1, 70_000, 1_000_000):
        body = os.urandom(size)
        seen = {"length": size, "sha256": hashlib.sha256(body).hexdigest()}
        pieces = (body[start : start + 8000] for start in range(0, size, 8000))
        for data in (body, pieces) if chunked else (body,):
            response = requests.post(f"{url}/probe/upload", data=data, timeout=15)
            assert (response.status_code, response.json()) == (200, seen)
    too_long = requests.post(f"{url}/probe/upload", data=bytes(11 * 1024 * 1024), timeout=15)
    assert too_long.status_code == 413


def check_responses(url: str) -> None:
    """Check empty, failing, not-found and streamed responses."""
    for path, status in (("/probe/empty", 204), ("/probe/fail", 500), ("/nothing-here", 404)):
        response = get(url + path)
        assert response.status_code == status
        assert "Traceback" not in response.text
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.head(f"{url}/probe/bytes/10", timeout=15).headers["Content-Length"] == "10"
    assert len(get(f"{url}/probe/download/32").content) == 32 * 65536


# Checks of the headers that a load balancer in front sets, and of spoofed ones.
BEHIND_A_BALANCER = (check_client_and_address, check_https, check_spellings)
ANYWHERE = (check_trace, check_health, check_static_files, check_bodies, check_responses)
CHECKS = (*BEHIND_A_BALANCER, *ANYWHERE)


def check_all(url: str) -> None:
    """Run all checks."""
    for check in CHECKS:
        check(url)


def check_application_alone(url: str, *, drops: bool, chunked: bool = True) -> None:
    """Run the checks that apply to the application without the sidecar.

    ``drops``: whether something in front of it drops header names with an underscore.
    """
    for check in (check_client_and_address, check_https, check_trace, check_health):
        check(url)
    check_static_files(url)
    check_bodies(url, chunked=chunked)
    if drops:
        check_spellings(url)
    else:
        # A limitation of the server, documented on the platform's page.
        with pytest.raises(AssertionError, match="reached"):
            check_spellings(url)


def drops_spellings(server: str) -> bool:
    """Return whether a server without a proxy drops header names with an underscore."""
    failures = EXPECTATIONS["_servers"][server]["expected_failures"]
    return not any("_with_an_underscore_" in test for each in failures for test in each["tests"])
