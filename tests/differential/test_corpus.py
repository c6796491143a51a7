"""All pairs treat the requests of the corpus alike, except for differences in accepted.toml."""

import pytest

from .case import Case, corpus
from .compare import Accepted, Difference, accepted, report, short, unexplained
from .fleet import Fleet

# Logs and configurations are long, so they are shown for the first differences only.
SHOWN_WITH_EVIDENCE = 2
shown: set[object] = set()


@pytest.mark.parametrize("case", corpus(), ids=str)
def test_request(fleet: Fleet, differences: dict[str, list[Difference]], case: Case):
    left = unexplained(differences[case.name], accepted())
    if not left:
        return
    text = report(left)
    if len(shown) < SHOWN_WITH_EVIDENCE and left[0].cause not in shown:
        shown.add(left[0].cause)
        text += "\n" + "\n".join(fleet.evidence(pairs) for _, pairs in left[0].sides[:2])
    pytest.fail(text, pytrace=False)


@pytest.mark.parametrize("entry", [entry for entry in accepted() if not entry.sometimes], ids=str)
def test_accepted_difference_still_occurs(
    request: pytest.FixtureRequest, differences: dict[str, list[Difference]], entry: Accepted
):
    """An accepted difference that no longer occurs must be removed: it would hide a regression."""
    if request.config.getoption("pair"):
        pytest.skip(f"{short(request.config.getoption('pair'))} alone may not have this difference")
    assert any(entry.occurs_in(each) for found in differences.values() for each in found)
