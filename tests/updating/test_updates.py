"""Updates to a newer version of the template keep the owner's changes."""

import pytest

from tests.lib.readme import run_readme
from tests.lib.stack import run
from tests.lib.template import PAIRS, PROXIES

from .conftest import earlier_version
from .project import CRUFT, UPDATE, assert_is_new, commit, create, git, work_on

# Three servers, and both proxies.
TRIED = PAIRS[:11:5]


def test_there_are_three_servers_and_every_proxy():
    assert len({pair.server for pair in TRIED}) == 3
    assert {pair.proxy for pair in TRIED} == set(PROXIES)


@pytest.mark.parametrize("pair", TRIED, ids=str)
def test_from_an_earlier_version(pair, template, tmp_path):
    project = create(template, earlier_version(), tmp_path, pair, "--skip", "secrets")
    commit(work_on(project))
    run(UPDATE, cwd=project)
    assert_is_new(project, tmp_path / "new", pair)


def test_removed_renamed_and_reworded_parts(template, tmp_path):
    """The README's commands apply these changes; a second update has nothing to do."""
    project = create(template, "v1.0.0", tmp_path, PAIRS[-1])
    assert (project / "server" / "dropped.py").is_file()
    assert (project / "proxy" / "dropped" / "too").is_file()
    commit(work_on(project))
    assert "rename to server/healthcheck.py" in run_readme(project, "cruft update")
    assert_is_new(project, tmp_path / "new", PAIRS[-1])

    commit(project)
    run([*CRUFT, "check"], cwd=project)
    assert "Nothing to do" in run(UPDATE, cwd=project)
    assert git(project, "status", "--porcelain") == ""
