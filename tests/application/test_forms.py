"""A view may receive forms and uploads, and keep data between requests."""

import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.lib.stack import Stack, wait_until

from .together import AT_A_TIME, results, together

# Number of large uploads that one client may send at a time.
UPLOADS = 5
MB = 1_000_000


def described(field: str, name: str, data: bytes, kind: str = "text/plain") -> dict[str, object]:
    return {
        "field": field,
        "name": name,
        "type": kind,
        "length": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def post(stack: Stack, path: str, **arguments) -> object:
    """Send concurrent POST requests; return the JSON, which must be the same for all."""
    first, *others = results(stack, path, method="POST", **arguments)
    assert others == [first] * len(others)
    return first


@pytest.mark.parametrize("multipart", [False, True])
def test_fields(stack: Stack, multipart: bool):
    """Forms with many fields, urlencoded and multipart, in any language."""
    wanted = [
        ("name ü", "value 日本\r\nsecond line"),
        ("empty", ""),
        ("twice", "1"),
        ("twice", "2"),
    ]
    wanted += [(f"field-{number}", "x" * 100) for number in range(900)]
    # requests encodes a form as multipart if it is passed as files; fields have no file name.
    body = {"files": [(name, (None, value)) for name, value in wanted]}
    found = post(stack, "/forms/fields", **(body if multipart else {"data": wanted}))
    assert found == [list(field) for field in wanted]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("x", "")] * 1000, 200),
        ([("x", "")] * 1001, 413),
        ([("x", "x" * 500_000)], 200),
        ([("x", "x" * 500_001)], 413),
    ],
    ids=["most-fields", "more-fields", "longest-field", "longer-field"],
)
def test_limits_of_forms(stack: Stack, fields: list[tuple[str, str]], status: int):
    """Flask's limits of fields and their lengths."""
    body = [(name, (None, value)) for name, value in fields]
    for response in together(stack, ["/forms/fields"] * 4, "POST", files=body):
        assert response.status_code == status


@pytest.mark.parametrize("path", ["/forms/files", "/forms/saved"])
def test_files(stack: Stack, path: str):
    """Uploaded files: many, empty, with non-ASCII names, read and saved."""
    wanted = [
        ("one", "Übersicht „1“ 日本.txt", "ü\r\n--x".encode() * 100),
        ("one", "empty.txt", b""),
        ("other", 'quoted ".txt', os.urandom(70_000)),
        *((f"file-{number}", f"{number}.txt", b"%d" % number) for number in range(100)),
    ]
    sent = [(field, (name, data, "text/plain")) for field, name, data in wanted]
    assert post(stack, path, files=sent) == [described(*each) for each in wanted]


@pytest.mark.parametrize("path", ["/forms/files", "/forms/saved"])
def test_large_forms(stack: Stack, path: str):
    """Forms of 10 MB with several files, by default settings, which leave nothing in /tmp."""
    before = stack.get("/forms/tmp").json()["used"]
    wanted = [
        ("first", "first.bin", os.urandom(6 * MB)),
        ("second", "second.bin", bytes(3 * MB)),
        ("third", "third.bin", os.urandom(MB)),
    ]
    sent = [(field, (name, data, "text/plain")) for field, name, data in wanted]
    responses = together(stack, [path] * 12, "POST", UPLOADS, files=sent)
    assert Counter(response.status_code for response in responses) == {200: 12}
    for response in responses:
        assert response.json() == [described(*each) for each in wanted]
    wait_until(lambda: stack.get("/forms/tmp").json()["used"] <= before, timeout=5)


def test_json(stack: Stack):
    """JSON bodies."""
    text = "ü日本\n" * 20_000
    for response in together(stack, ["/forms/json"] * AT_A_TIME, "POST", json=text):
        assert response.text == text


@pytest.mark.parametrize("size", [0, 1000, 1 << 20])
def test_stream(stack: Stack, size: int):
    """The body as a stream, in pieces and by lines."""
    body = b"".join(b"%07d\n" % number for number in range(10_000))
    found = post(stack, f"/forms/stream/{size}", data=body)
    assert found["sha256"] == hashlib.sha256(body).hexdigest()
    assert found["longest"] <= (size or 8)


def test_temporary_files(stack: Stack):
    """Temporary files and folders."""
    assert results(stack, "/forms/temporary") == [{"same": [True] * 5, "left": []}] * AT_A_TIME


def test_sessions(stack: Stack):
    """Sessions."""

    def visit(number: int) -> None:
        with requests.Session() as client:
            expected = {}
            for name in ("first", "second ü"):
                expected[name] = f"{number} {uuid4()} 日本"
                client.post(f"{stack.url}/forms/session", {name: expected[name]}, timeout=30)
                found = client.get(f"{stack.url}/forms/session", timeout=30)
                assert found.json() == expected

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(visit, range(AT_A_TIME)):
            pass


def test_cookies(stack: Stack):
    """Cookies: many, long, with attributes."""
    with requests.Session() as client:
        client.cookies.set("gone", "here", domain="127.0.0.1", path="/")
        url = f"{stack.url}/forms/cookies"
        first = client.get(url, timeout=30)
        assert first.text == "[('gone', 'here')]"
        kept = [(f"cookie-{number}", f"value {number}; ü") for number in range(20)]
        assert client.get(url, timeout=30).text == repr(sorted([*kept, ("long", "x" * 3000)]))
