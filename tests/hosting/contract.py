"""What a service must do on every platform: the core of the conformance suite, by one address.

The application has the probe's views (tests/pairs/probe), and a balancer stands in front of it.
"""

import hashlib
import os

import requests

CLAIMS = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;host=evil.example",
}


def get(url: str, headers: dict[str, str] | None = None) -> requests.Response:
    """Ask as a client does, without following redirects."""
    return requests.get(url, headers=headers, timeout=15, allow_redirects=False)


def check_client_and_address(url: str) -> None:
    """The client is the one that the balancer saw, by HTTPS, whatever it claims of itself."""
    for claims in ({}, CLAIMS):
        answer = get(f"{url}/probe/request", headers={"Host": "service.example"} | claims)
        assert answer.status_code == 200
        told = answer.json()
        assert told["address"] == answer.headers["X-Balancer-Client"], told
        assert told["root"] == "https://service.example/", told
    redirect = get(f"{url}/probe/redirect/address", headers={"Host": "service.example"} | CLAIMS)
    assert redirect.headers["Location"] == "https://service.example/probe/request"


def check_health(url: str) -> None:
    """200, and no redirect: platforms do not follow any."""
    for path in ("/health/live", "/health/ready"):
        answer = get(url + path, headers={"Host": "10.0.0.1"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def check_static_files(url: str) -> None:
    """They are served."""
    answer = get(f"{url}/static/style.css")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    again = get(f"{url}/static/style.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def check_bodies(url: str, *, chunked: bool = True) -> None:
    """Uploads arrive whole, with a length or in chunks; one that is too long gets 413."""
    for size in (0, 1, 70_000, 1_000_000):
        body = os.urandom(size)
        seen = {"length": size, "sha256": hashlib.sha256(body).hexdigest()}
        pieces = (body[start : start + 8000] for start in range(0, size, 8000))
        for data in (body, pieces) if chunked else (body,):
            answer = requests.post(f"{url}/probe/upload", data=data, timeout=15)
            assert (answer.status_code, answer.json()) == (200, seen)
    too_long = requests.post(f"{url}/probe/upload", data=bytes(11 * 1024 * 1024), timeout=15)
    assert too_long.status_code == 413


def check_answers(url: str) -> None:
    """Empty, failing, unknown and streamed ones are what they should be."""
    for path, status in (("/probe/empty", 204), ("/probe/fail", 500), ("/nothing-here", 404)):
        answer = get(url + path)
        assert answer.status_code == status
        assert "Traceback" not in answer.text
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.head(f"{url}/probe/bytes/10", timeout=15).headers["Content-Length"] == "10"
    assert len(get(f"{url}/probe/download/32").content) == 32 * 65536


CHECKS = (
    check_client_and_address,
    check_health,
    check_static_files,
    check_bodies,
    check_answers,
)


def check_all(url: str) -> None:
    """All of that."""
    for check in CHECKS:
        check(url)
