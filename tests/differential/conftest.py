"""All pairs run once, in one process, which sends them the whole corpus.

An existing project runs beside the generated pair of its choices.
"""

from collections.abc import Iterator

import pytest

from tests.lib.template import PAIRS, Pair
from tests.pairs.mutations import MUTATIONS
from tests.pairs.project import OWN

from .case import corpus
from .compare import Difference, accepted, compare, unexplained
from .fleet import Fleet, run_fleet


def chosen(config: pytest.Config) -> tuple[list[Pair], tuple[str, int] | None]:
    """Return the pairs to compare, and the pair with the mutation.

    With --mutation the pairs are the mutated one and some with the same server or the same proxy,
    so that the mutation shows as a difference. With --pair alone they are the named pairs.
    """
    names = config.getoption("pair")
    if not names:
        return list(PAIRS), None
    number = config.getoption("mutation")
    if number is None:
        return [pair for pair in PAIRS if str(pair) in names], None
    (broken,) = [pair for pair in PAIRS if str(pair) == MUTATIONS[number].pair]
    neighbours = [pair for pair in PAIRS if pair.proxy == broken.proxy and pair != broken][:2]
    others = [pair for pair in PAIRS if pair.server == broken.server and pair != broken]
    return [broken, *neighbours, *others], (str(broken), number)


@pytest.fixture(scope="session")
def fleet(
    request: pytest.FixtureRequest, engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    pairs, mutation = chosen(request.config)
    if len(pairs) < 2 and not OWN:
        pytest.skip("a single pair cannot be compared with others")
    with run_fleet(pairs, tmp_path_factory.mktemp("differential"), mutation=mutation) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def differences(fleet: Fleet) -> dict[str, list[Difference]]:
    """The differences in the corpus, by the name of the case."""
    cases, entries = corpus(), accepted()
    found = {}
    for case, observations in zip(cases, fleet.run_all(cases), strict=True):
        found[case.name] = compare(case, observations)
        if unexplained(found[case.name], entries):
            # Send it again alone: load on the machine must not cause a difference.
            again = {each.cause for each in compare(case, fleet.run(case, with_log=True))}
            found[case.name] = [each for each in found[case.name] if each.cause in again]
    return found
