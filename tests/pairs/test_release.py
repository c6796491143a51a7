"""A release by the project's command: the next containers start beside the running ones."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.lib.load import Outcome, ask, load
from tests.lib.readme import run_readme, run_shell
from tests.lib.stack import Stack, wait_until
from tests.lib.template import PAIRS
from tests.pairs.project import PACKAGE, PROBE

pytestmark = pytest.mark.destructive

Record = Callable[[str, object], None]


@pytest.fixture
def released(restored: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack, whose project's commands use the probe too."""
    files = [restored.folder / "compose.yaml", PROBE / "compose.yaml"]
    monkeypatch.setenv("COMPOSE_FILE", os.pathsep.join(map(str, files)))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", restored.name)
    return restored


@contextmanager
def changed(file: Path, text: str) -> Iterator[None]:
    """Add a text to a file while the block runs."""
    before = file.read_text(encoding="utf-8")
    file.write_text(before + text, encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")


def release(stack: Stack) -> None:
    """Run the page's command. Raises AssertionError with its output when it fails."""
    try:
        run_readme(stack.folder, "bash release.sh")
    finally:
        stack.ports.clear()


def failed(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status != 200 or outcome.cut]


def test_release_loses_no_request(
    request: pytest.FixtureRequest, released: Stack, record_property: Record
):
    """Not even without a second attempt of the proxy, which does not retry POST requests."""
    wanted = request.config.getoption("requests")
    view = released.folder / "src" / PACKAGE / "pages.py"
    # Few requests leave the CPU to other tests.
    options = {"clients": 3 if wanted else 1, "most": 100_000}
    with (
        load(f"{released.url}/probe/work/0.01/", **options) as new,
        load(f"{released.url}/probe/work/0.01/", keep=True, **options) as kept,
        load(f"{released.url}/probe/upload?/", method="POST", keep=True, **options) as posted,
        ThreadPoolExecutor(1) as pool,
    ):
        loads = [new, kept, posted]
        before, after = released.get("/probe/host").text, ""
        long = []
        while not after or sum(len(each.outcomes) for each in loads) < wanted:
            long.append(pool.submit(ask, f"{released.url}/probe/work/4.0/{uuid4().hex}"))
            with changed(view, f"# {uuid4().hex}\n"):
                release(released)
            before, after = after or before, released.get("/probe/host").text
            assert after != before
        answered = [each.count(200) for each in loads]
        for each, count in zip(loads, answered, strict=True):
            wait_until(lambda: each.count(200) > count + 20, timeout=10)  # noqa: B023
    outcomes = [outcome for each in loads for outcome in each.outcomes]
    record_property("released_sent", len(outcomes) + len(long))
    record_property("released_failed", len(failed(outcomes)))
    assert failed([*outcomes, *(each.result() for each in long)]) == []
    assert {container.name for container in released.containers("next")} == set()


@pytest.mark.pairs(PAIRS[:2])
def test_release_that_does_not_start(released: Stack):
    """The message has the reason, and the running release stays as it is."""
    before = released.get("/probe/host").text
    with (
        load(f"{released.url}/probe/work/0.01/") as running,
        changed(released.folder / "src" / PACKAGE / "pages.py", "raise RuntimeError('typo')\n"),
        pytest.raises(AssertionError, match=r"(?s)RuntimeError: typo.*running release is unch"),
    ):
        release(released)
    assert failed(running.outcomes) == []
    assert released.get("/probe/host").text == before
    assert {container.name for container in released.containers("next")} == set()


@pytest.mark.pairs(PAIRS[:2])
def test_release_that_was_interrupted(released: Stack):
    """The next run of the command, with other files, completes it first, and no request fails."""
    before = released.get("/probe/host").text
    script = (released.folder / "release.sh").read_text(encoding="utf-8")
    begun, after, _ = script.partition("touch /tmp/next\n")
    assert after
    run_shell(begun + after, released.folder)
    wait_until(lambda: released.get("/probe/host").text != before, timeout=10)
    view = released.folder / "src" / PACKAGE / "pages.py"
    with (
        load(f"{released.url}/probe/work/0.01/") as running,
        changed(view, f"# {uuid4().hex}\n"),
    ):
        release(released)
    assert running.count(200) > 50
    assert failed(running.outcomes) == []
    assert {container.name for container in released.containers("next")} == set()


@pytest.mark.pairs(PAIRS[:2])
def test_release_with_a_static_file(released: Stack, record_property: Record):
    """The file is part of the proxy's image, and the service is unavailable while that starts."""
    file = released.folder / "src" / PACKAGE / "static" / "style.css"
    with load(lambda: f"{released.url}/probe/work/0.01/", clients=2) as running:
        with changed(file, "/* released */\n"):
            release(released)
        ended = time.monotonic()
        wait_until(lambda: running.outcomes[-1].began > ended, timeout=10)
    lost = failed(running.outcomes)
    assert {outcome.status for outcome in lost} <= {None}
    if lost:
        seconds = max(outcome.began for outcome in lost) - min(outcome.began for outcome in lost)
        record_property("proxy_replaced_seconds", round(seconds, 1))
    assert "released" in released.get("/static/style.css").text
