"""What all tests share: which pairs are asked for, and how they are spread over processes."""

import pytest

from tests.harness.conformance import place
from tests.harness.stack import prepare_engine
from tests.harness.template import PAIRS, PROXIES, PYTHON_VERSIONS, Pair, known_limits

# Its assertions explain themselves, as those of the tests do; whoever imports it first.
pytest.register_assert_rewrite("tests.pairs.witness")

# The marks of tests that run last, in this order.
LATE = ["disruptive", "patient"]


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
        help="break the generated projects in this way: a place in tests/pairs/mutations.py",
    )
    parser.addoption(
        "--swarm-requests",
        type=int,
        default=0,
        help="send at least so many requests during the updates of tests/hosting/test_swarm.py",
    )


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest) -> Pair:
    """The pair that a folder runs its tests with: each says which."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a pair's disruptive tests last: the others find the stack as it was started."""
    items.sort(key=lambda item: [bool(item.get_closest_marker(mark)) for mark in LATE])
    for item in items:
        expect_known_limit(item)


def expect_known_limit(item: pytest.Item) -> None:
    """Expect a test to fail, strictly, where cookiecutter.json says that its pair cannot pass."""
    callspec = getattr(item, "callspec", None)
    pair = callspec and callspec.params.get("pair")
    # Some folders call a pair by its name.
    if not isinstance(pair, Pair):
        return
    probe = callspec.id.removeprefix(str(pair)).removeprefix("-")
    test = f"{item.path.name}::{item.originalname}" + (f"[{probe}]" if probe else "")
    if reason := known_limits(pair).get(test):
        item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Keep each pair's tests in one process, so that its stack is started once.

    Since pytest 9.2 xdist's own --dist loadgroup no longer groups (pytest-dev/pytest-xdist#1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPair(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if placed := place(nodeid):
                return str(placed[0])
            return super()._split_scope(nodeid)

    return ByPair(config, log)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with the base images of every choice."""
    prepare_engine(PYTHON_VERSIONS, PROXIES)
