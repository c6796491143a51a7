"""Options and fixtures of all tests, and how the tests are spread over processes."""

from collections import Counter
from itertools import chain

import pytest

from tests.lib.existing import CONTRACT, Existing, ProjectError, existing
from tests.lib.node_ids import place
from tests.lib.stack import prepare_engine
from tests.lib.template import (
    DATABASES,
    PAIRS,
    PROXIES,
    PYTHON_VERSIONS,
    Pair,
    expected_failures,
)

# pytest explains its failed assertions too, regardless of which module imports it first.
pytest.register_assert_rewrite("tests.pairs.request_recorder")

# The marks of tests that run last, in this order.
LATE = ["destructive", "slow"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pair",
        action="append",
        choices=[str(pair) for pair in PAIRS],
        help="run the live tests of this pair only, such as uwsgi-apache; may be repeated",
    )
    parser.addoption(
        "--mutation",
        type=int,
        help="apply a mutation to the generated projects: its index in tests/pairs/mutations.py",
    )
    parser.addoption(
        "--requests",
        type=int,
        default=0,
        help="send at least this many requests during the releases of a pair or of a swarm",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Test the pair of the existing project only, if there is one."""
    if own := existing_project():
        config.option.pair = [str(own.pair)]


def existing_project() -> Existing | None:
    """Return the project that PROJECT names; raises UsageError if it cannot be tested."""
    try:
        return existing()
    except ProjectError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which names in contract.toml no test has, for example after an update of the tests."""
    if not (own := existing()):
        return
    reports = chain.from_iterable(terminalreporter.stats.values())
    ran = {report.nodeid for report in reports if isinstance(report, pytest.TestReport)}
    for name in own.unknown(ran):
        terminalreporter.write_line(f"{own.folder / CONTRACT}: no test of this run is {name!r}")


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest) -> Pair:
    """The pair of the test; each folder's conftest parametrizes it."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a pair's destructive tests last, so that the others run on an unchanged stack.

    Large scopes come first, so that no process still has one when the others have ended. Beside the
    first, tests without Docker run: its process installs the engine and builds the base images.
    """
    items.sort(key=lambda item: [bool(item.get_closest_marker(mark)) for mark in LATE])
    sizes = Counter(scope(item.nodeid) for item in items)
    first = max(sizes, key=sizes.__getitem__, default="")

    def rank(item: pytest.Item) -> tuple[bool, int, str]:
        name = scope(item.nodeid)
        early = name == first or name.startswith("tests/generation/")
        return not early, -sizes[name], name

    items.sort(key=rank)
    for item in items:
        expect_failure(item)


def scope(nodeid: str) -> str:
    """Return the name of the tests that run in one process: those of a pair, or of a file."""
    placed = place(nodeid)
    if placed and existing():
        # There is one pair, so its folders run side by side.
        return nodeid.partition("::")[0].rpartition("/")[0]
    return str(placed[0]) if placed else nodeid.partition("::")[0]


def expect_failure(item: pytest.Item) -> None:
    """Add an xfail to a test that may fail on its pair, or on the existing project.

    tests/expectations.json lists those of the pairs, and contract.toml those of the project.
    """
    callspec = getattr(item, "callspec", None)
    pair = callspec and callspec.params.get("pair")
    # Some folders use the name of a pair.
    if isinstance(pair, Pair):
        probe = callspec.id.removeprefix(str(pair)).removeprefix("-")
        test = f"{item.path.name}::{item.originalname}" + (f"[{probe}]" if probe else "")
        if reason := expected_failures(pair).get(test):
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
            return
    if (own := existing()) and (found := own.expected_failure(item.nodeid)):
        reason, strict = found
        item.add_marker(pytest.mark.xfail(strict=strict, reason=f"{own.folder.name}: {reason}"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Run each pair's tests in one process, so that its stack is started once.

    Since pytest 9.2 xdist's own --dist loadgroup no longer groups (pytest-dev/pytest-xdist#1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPair(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return ByPair(config, log)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with the base images of every choice."""
    prepare_engine(PYTHON_VERSIONS, PROXIES, DATABASES)
