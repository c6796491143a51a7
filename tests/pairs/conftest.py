"""Each pair is generated, built and started once; its tests send requests to its proxy."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.idle import watch_idle_connection, watch_slow_upload
from tests.lib.stack import Stack, run_stack
from tests.lib.template import PAIRS, Pair
from tests.lib.tried import try_on
from tests.pairs.project import PACKAGE, PROBE, make_project


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, PAIRS)


@pytest.fixture(scope="session")
def project(
    request: pytest.FixtureRequest, pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Generate the pair's project in its own folder, with additional static files."""
    into = tmp_path_factory.mktemp(str(pair))
    return make_project(pair, into, request.config.getoption("mutation"))


@pytest.fixture(scope="session")
def stack(engine: None, pair: Pair, project: Path) -> Iterator[Stack]:
    """Run the pair with the probe's views added to its application."""
    os.environ.update(PROBE=str(PROBE), PACKAGE=PACKAGE)
    name = f"{project.name}-{os.getpid()}"
    with (
        run_stack(pair, project, name, PROBE / "compose.yaml") as stack,
        # These take half a minute, so they start now; their tests run late and wait for them.
        watch_idle_connection(stack) as stack.idle,
        watch_slow_upload(stack) as stack.slow,
    ):
        yield stack


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """Provide the stack, and start it again after the test."""
    yield stack
    stack.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Attach the containers' logs and the proxy's configuration to a failure."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack:
        report.sections.append((f"evidence of {stack.pair}", stack.evidence()))
    return report
