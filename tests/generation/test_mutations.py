"""The mutations apply to the current template."""

from collections import Counter

import pytest

from tests.lib.template import PAIRS, ROOT, generate

from ..pairs.mutations import MUTATIONS


@pytest.mark.parametrize("pair", sorted({mutation.pair for mutation in MUTATIONS}))
def test_mutations_exist(pair: str, tmp_path):
    (choice,) = [choice for choice in PAIRS if str(choice) == pair]
    project = generate(
        tmp_path, package_name="probed", wsgi_server=choice.server, proxy=choice.proxy
    )
    for mutation in MUTATIONS:
        if mutation.pair == pair:
            text = (project / mutation.file).read_text(encoding="utf-8")
            assert mutation.old in text, mutation
            assert mutation.old != mutation.new


def test_every_concern_has_three_mutations():
    tried = Counter(mutation.concern for mutation in MUTATIONS)
    concerns = {"differential"}
    for folder, prefix in (("pairs", ""), ("application", "application/")):
        files = (ROOT / "tests" / folder).glob("test_*.py")
        concerns |= {prefix + file.stem.removeprefix("test_") for file in files}
    assert set(tried) == concerns
    assert all((ROOT / mutation.tests).is_file() for mutation in MUTATIONS)
    assert min(tried.values()) >= 3
