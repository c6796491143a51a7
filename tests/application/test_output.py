"""The output of an application reaches the container's log line by line."""

import json
import re
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from tests.lib.stack import Stack, wait_until

from .together import AT_A_TIME, results

STREAMS = ("stdout", "stderr")


def written(
    stack: Stack, path: str, times: int = AT_A_TIME
) -> tuple[list[Any], dict[str, list[str]]]:
    """Send concurrent requests; return the results and the lines of each output stream."""
    container = stack.container("app")
    began = time.time()
    found = results(stack, path, times)
    end = uuid4().hex
    stack.get(f"/output/print?lines=1&token={end}")

    def lines(stream: str) -> list[str]:
        chosen = {each: each == stream for each in STREAMS}
        text = container.logs(since=began, **chosen).decode()
        # Not splitlines(), which also splits at other characters.
        return text.split("\n") if end in text else []

    return found, {
        stream: wait_until(lambda stream=stream: lines(stream), timeout=10) for stream in STREAMS
    }


def records(
    stack: Stack, path: str, times: int = AT_A_TIME
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Send concurrent requests; return each result with the log records of its request."""
    found, lines = written(stack, path, times)
    entries = [json.loads(line) for line in lines["stdout"] if line.startswith("{")]
    return [
        (
            result,
            [
                entry
                for entry in entries
                if entry["request_id"] == result["request_id"] and "status" not in entry
            ],
        )
        for result in found
    ]


def is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("size", [100, 9_000, 100_000])
def test_records(stack: Stack, size: int):
    """Log records of 100 bytes, 9 KB and 100 KB."""
    for _, (entry,) in records(stack, f"/output/record/{size}"):
        assert entry["message"] == "x" * size
        assert entry["level"] == "INFO"


@pytest.mark.parametrize(("size", "lines"), [(9_000, 100), (90_000, 10)])
def test_burst(stack: Stack, size: int, lines: int):
    """Log records of 9 KB and 90 KB from several processes and threads at once."""
    token = uuid4().hex
    path = f"/output/burst?token={token}&lines={lines}&size={size}"
    found, streams = written(stack, path, times=1)
    assert found == [{"exit": 0}]
    expected = {
        f"{token} {writer} {number:03} ".ljust(size, "x")
        for writer in "abcdef"
        for number in range(lines)
    }
    messages = [json.loads(line)["message"] for line in streams["stdout"] if is_json(line)]
    torn = len(expected - set(messages))
    assert not torn, f"{torn} of {len(expected)} lines are missing or mixed"


def test_text(stack: Stack):
    """Any text in a message: letters beyond ASCII, emoji, control characters, line breaks."""
    for result, entries in records(stack, "/output/texts"):
        assert [entry["message"] for entry in entries] == result["texts"]
        assert {entry["logger"] for entry in entries} == {"library.part"}


def test_extra_fields(stack: Stack):
    """Fields that the view adds to a record."""
    for _, (entry,) in records(stack, "/output/extra"):
        assert entry["number"] == 1.5
        assert entry["when"] == "2030-01-02T00:00:00+00:00"
        assert entry["nested"]["path"] == "/é"


def test_traceback(stack: Stack):
    """A traceback of many lines in its record's line."""
    for _, (entry,) in records(stack, "/output/exception"):
        assert entry["message"] == "several\nlines"
        assert entry["exc_info"].startswith("Traceback (most recent call last):\n")
        assert entry["exc_info"].endswith("ValueError: first\nsecond: é")


def test_print(stack: Stack):
    """`print` to standard output and standard error, line by line."""
    token = uuid4().hex
    _, streams = written(stack, f"/output/print?token={token}&lines=25")
    rest = " ".join(["é" * 10] * 20)
    expected = Counter({f"{token} {number} {rest}": AT_A_TIME for number in range(25)})
    for stream in STREAMS:
        torn = (expected - Counter(streams[stream])).total()
        assert not torn, f"{torn} of {expected.total()} lines are missing or mixed"


def test_streams(stack: Stack):
    """Other writes to the standard streams: `write`, bytes, `warnings`, `traceback`, threads."""
    token = uuid4().hex
    _, streams = written(stack, f"/output/streams?token={token}")
    for stream in STREAMS:
        lines = Counter(streams[stream])
        for text in ("write: é 🐍", "lines: one", "bytes: é"):
            assert lines[f"{token} {text}"] == AT_A_TIME
    errors = Counter(streams["stderr"])
    assert errors[f"ValueError: {token} printed"] == AT_A_TIME
    assert errors[f"ValueError: {token} in a thread"] == AT_A_TIME
    text = "\n".join(streams["stderr"])
    assert f": UserWarning: {token} warned\n" in text


def test_faulthandler(stack: Stack):
    """The tracebacks that `faulthandler` writes."""
    # One at a time: faulthandler uses several writes, which may mix with those of other processes.
    _, streams = written(stack, "/output/faulthandler", times=1)
    text = "\n".join(streams["stderr"])
    assert re.search(r'\n  File "/app/src/abilities/output.py", line \d+ in dump\n', text)


def test_record_at_import(stack: Stack):
    """A warning that a module logs at import."""
    assert "logged at import" in stack.first_logs["app"]
