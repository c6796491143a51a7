"""The performance page is about the pairs of today, and is what its figures make it."""

import json

import pytest

from tests.bench import page
from tests.harness.template import PAIRS


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads(page.FILE.read_text(encoding="utf-8"))


def test_every_pair_was_measured(facts):
    assert list(facts["pairs"]) == [str(pair) for pair in PAIRS], "run `make bench`"


def test_page_is_made_from_the_figures(facts):
    assert page.PAGE.read_text(encoding="utf-8") == page.render(facts), "run `make bench-page`"


def test_charts_are_there_for_light_and_dark_grounds(facts):
    drawn = {
        f"{name}-{scheme}.svg"
        for name, *_ in page.charts(facts["pairs"])
        for scheme in page.SCHEMES
    }
    assert {file.name for file in page.CHARTS.iterdir()} == drawn
