"""The README's tables say what cookiecutter.json says."""

import pytest

from ..harness.template import FACTS, ROOT


@pytest.mark.parametrize("kind", ["_servers", "_proxies"])
def test_tables_are_those_of_cookiecutter_json(kind: str):
    rows = [
        f"| [{fact['title']}]({fact['documentation']}) | {fact['good_for']} | {fact['know']} |"
        for fact in FACTS[kind].values()
    ]
    assert "\n".join(rows) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_hosting_page_tells_of_each_target():
    """What was validated and tried, and what never ran, in the order of the choices."""
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    _, table = page.split("\n|---|---|---|---|---|\n")
    rows = [row.strip("| ").split(" | ") for row in table.partition("\n\n")[0].splitlines()]
    assert [row[0] for row in rows] == [entry["title"] for entry in FACTS["_targets"].values()]
    assert {len(row) for row in rows} == {5}
