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
