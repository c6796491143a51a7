"""The commands and claims of the projects' READMEs and of the hosting page are tested."""

import ast

from tests.lib.readme import blocks, claims, pages, readme_commands
from tests.lib.template import FACTS, OPTIONS, ROOT, generate

# Commands of a project's README that no test runs, and why.
NOT_RUN = {
    "docker compose build --pull": "the tests reach no registry",
    "docker builder prune": "it would take the cache of every other build on this machine",
    "docker pull": "the tests reach no registry",
    "docker compose run --rm migrate flask db downgrade REVISION": "the tests name a revision",
    "docker compose exec app flask shell": "it is interactive",
    "docker compose exec db psql --username app": "it is interactive",
    "docker compose exec db psql --username postgres": "it is interactive",
    r'docker compose exec db psql --username postgres --command "\password app"': "it asks for one",
    "docker compose logs --follow app": "it does not end",
    "make test PROJECT=": "it is a command of this repository, which tests/existing runs",
    "python3 lock.py --upgrade": "`make locks` runs its commands with this option",
    "sudo systemctl start docker": "the engine runs",
}


def words_given_to(function: str, folder: str) -> set[str]:
    """Return the second argument of each call of ``function`` in a folder of the tests."""
    calls = [
        node
        for file in (ROOT / "tests" / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function
    ]
    return {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}


def test_every_command_of_a_projects_readme_is_run(tmp_path):
    """Each command is run or has a reason in NOT_RUN, and each of these is in the README."""
    project = generate(tmp_path, **OPTIONS)
    found = readme_commands(project)
    run = words_given_to("run_readme", ".")
    # These tests run all commands below a heading.
    under = {
        heading: "\n".join(
            text for page in pages(project) for text in blocks(page, "console", heading)
        )
        for folder in ("development", "tls")
        for heading in words_given_to("commands", folder)
    }
    assert not run & set(NOT_RUN)
    for text in found:
        known = any(claims(beginning, text) for beginning in run | set(NOT_RUN))
        assert known or any(text in section for section in under.values()), text
    for beginning in run | set(NOT_RUN):
        assert any(claims(beginning, text) for text in found), beginning


def test_the_hosting_page_describes_each_platform():
    """The page has one row per platform, in the order of the choices."""
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    _, table = page.split("\n|---|---|---|---|---|\n")
    rows = [row.strip("| ").split(" | ") for row in table.partition("\n\n")[0].splitlines()]
    assert [row[0] for row in rows] == [entry["title"] for entry in FACTS["_platforms"].values()]
    assert {len(row) for row in rows} == {5}
