"""The project's own tests, run as its README says."""

import os
import sys

import pytest

from tests.harness.stack import Stack, run


def test_own_unit_tests(stack: Stack, project):
    """In the image that the Dockerfile has for it, with its packages and its Python."""
    ca_bundle = os.environ.get("CA_BUNDLE")
    secret = [f"--secret=id=ca_bundle,src={ca_bundle}"] if ca_bundle else []
    name = f"{stack.name}-test"
    run(
        ["docker", "build", "--quiet", *secret, "--target", "test", "--tag", name, "."], cwd=project
    )
    try:
        run(["docker", "run", "--rm", name], cwd=project)
    finally:
        run(["docker", "image", "rm", "--no-prune", name], cwd=project)


@pytest.mark.smoke
def test_own_smoke_test(stack: Stack, project):
    os.environ["BASE_URL"] = stack.url
    run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/smoke"], cwd=project)
