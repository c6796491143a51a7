"""cookiecutter.json: every choice is complete, explained, and has its folder."""

import re

import pytest

from tests.lib.template import DATABASES, FACTS, FOLDER, PROXIES, SERVERS, unused

QUESTIONS = [name for name, answers in FACTS.items() if not name.startswith("_")]
MENUS = [name for name in QUESTIONS if isinstance(FACTS[name], list)]
ENTRIES = {
    "wsgi_server": "_servers",
    "proxy": "_proxies",
    "deploy_to": "_platforms",
    "database": "_databases",
}
# Answers that mean no variant, or all variants.
UNLIKE_OTHERS = ("none", "all")


def test_every_question_has_a_prompt():
    assert list(FACTS["__prompts__"]) == QUESTIONS


@pytest.mark.parametrize("menu", MENUS)
def test_every_choice_has_a_label_and_the_first_is_recommended(menu):
    labels = dict(FACTS["__prompts__"][menu])
    assert labels.pop("__prompt__")
    assert list(labels) == FACTS[menu]
    first, *others = labels.values()
    assert "(recommended)" in first
    assert not any("(recommended)" in label for label in others)


@pytest.mark.parametrize(("menu", "table"), ENTRIES.items())
def test_entries_of_a_choice_have_the_same_keys(menu, table):
    assert list(FACTS[table]) == [name for name in FACTS[menu] if name not in UNLIKE_OTHERS]
    first, *others = FACTS[table].values()
    for entry in others:
        assert list(entry) == list(first)
        assert [type(value) for value in entry.values()] == [
            type(value) for value in first.values()
        ]


def test_every_choice_that_differs_by_files_has_a_folder():
    for folder in (FOLDER / "variants").iterdir():
        if folder.name.startswith("__database_"):  # files that two options need together
            assert {answer.name for answer in folder.iterdir()} == set(DATABASES)
            continue
        answers = set(FACTS[folder.name]) - set(UNLIKE_OTHERS)
        assert {answer.name for answer in folder.iterdir()} == answers
    assert set(ENTRIES) <= {folder.name for folder in (FOLDER / "variants").iterdir()}


@pytest.mark.parametrize("server", SERVERS)
def test_a_legacy_server_is_marked_everywhere(server):
    """The menu and the README mark a legacy server and name an alternative."""
    label = FACTS["__prompts__"]["wsgi_server"][server]
    caveats = FACTS["_servers"][server]["caveats"]
    assert ("legacy" in label) == ("legacy" in caveats)
    if "legacy" in label:
        for text in (label, caveats):
            assert any(re.search(rf"\b{other}\b", text) for other in SERVERS if other != server)


def test_there_is_a_legacy_server():
    """Otherwise the test above checks nothing."""
    assert any("legacy" in label for label in FACTS["__prompts__"]["wsgi_server"].values())


@pytest.mark.parametrize("choice", [*SERVERS, *PROXIES])
def test_descriptions_fit_where_they_are_rendered(choice):
    entry = (FACTS["_servers"] | FACTS["_proxies"])[choice]
    assert entry["documentation"].startswith("https://")
    for text in (entry["best_for"], entry["caveats"]):
        assert text and "\n" not in text and not text.endswith("."), "must be part of a sentence"
        assert "|" not in text, "the text is a table cell"


@pytest.mark.parametrize("server", SERVERS)
def test_settings_without_effect_are_known(server):
    """What the application counts connections by is what the tests know of the server."""
    entry = FACTS["_servers"][server]
    assert entry["one_process"] == unused(server, "WEB_CONCURRENCY")
    assert entry["one_process"] == entry["processes"].startswith("not used")
    assert entry["greenlets"] == entry["threads"].startswith("not used")


@pytest.mark.parametrize("server", SERVERS)
def test_errors_name_a_server_without_an_image(server):
    nearest = FACTS["_servers"][server]["without_image"]
    assert not nearest or FACTS["_servers"][nearest]["without_image"] == ""
