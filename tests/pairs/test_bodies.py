"""Request bodies arrive whole, however they are sent."""

import hashlib
import os

import pytest

from tests.harness.stack import Stack

SIZES = [0, 1, 1024, 300_000, 1024 * 1024]


@pytest.mark.parametrize("size", SIZES)
def test_upload_with_a_length(stack: Stack, size: int):
    body = os.urandom(size)
    answer = stack.request("POST", "/probe/upload", data=body)
    assert answer.json() == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("size", SIZES)
def test_upload_in_chunks(stack: Stack, size: int):
    body = os.urandom(size)
    chunks = (body[start : start + 8000] for start in range(0, size, 8000))
    answer = stack.request("POST", "/probe/upload", data=chunks)
    assert answer.json() == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit(stack: Stack, chunked: bool):
    body = bytes(11 * 1024 * 1024)
    answer = stack.request("POST", "/probe/upload", data=iter([body]) if chunked else body)
    assert answer.status_code == 413
