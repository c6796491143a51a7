"""The project's own tests, run with the commands of its README."""

import sys
from pathlib import Path

import pytest

from tests.lib.stack import Stack, run


def test_own_unit_tests(stack: Stack):
    """They pass in the Dockerfile's test image, with its packages and Python version.

    They also fail if their coverage is below the minimum in pyproject.toml.
    """
    try:
        assert "Required test coverage" in stack.compose("run --build --rm --no-TTY test")
    finally:
        stack.docker.images.remove(f"{stack.name}-test", noprune=True)


@pytest.mark.smoke
def test_own_smoke_test(stack: Stack, project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BASE_URL", stack.url)
    run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/smoke"], cwd=project)
