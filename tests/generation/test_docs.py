"""This repository's pages: up to date, complete, with valid links and tested commands."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

from tests.lib.readme import blocks, commands, page_commands
from tests.lib.template import FACTS, PAIRS, ROOT, SERVERS, expected_failures
from tools import docs
from tools.settings import defaults, explained, readers

from .conftest import Project
from .test_readme import words_given_to

WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(docs.DOCS.rglob("*.md"))]
ALL_PAGES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    # The template's pages are checked in generated projects. One file is a page's template.
    if name and not name.startswith("{{") and ROOT / name != docs.performance.TEMPLATE
]
each_page = pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))

# Commands of the pages that no test runs literally, with the reason; matched by their beginning.
NOT_RUN = {
    "pipx run cookiecutter": "it wants this repository's public address; the tests generate by it",
    "cd my-flask-service": "the tests give the folder to each command",
    "make": "it is what the tests, or a run of everything, are started by; make knows each target",
    ".venv/bin/python -m pytest": "it is what the tests are started by",
    ".venv/bin/python -m tests.differential": "it is what make differential runs",
}
# The tests of a project's README run the commands that are in it too.
RUN_FROM_READMES = ["docker compose up --build --wait"]

# Settings without a default, for which .env.example shows an example value.
EXAMPLES = {
    "CA_BUNDLE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PIP_CONF",
    "TLS_CONTACT",
    "TLS_DOMAIN",
}


# --- Generated pages ---


def test_pages_are_fresh(capfd):
    assert docs.renew("--check", "--diff") == 0, f"run `make docs`\n{capfd.readouterr().out}"


def test_a_stale_page_is_detected(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text('<!-- [[[cog print(choices("proxies")) ]]] -->\nold\n<!-- [[[end]]] -->\n')
    monkeypatch.setattr(docs, "pages", lambda: [page])
    assert docs.renew("--check") != 0
    assert docs.renew() == 0
    assert docs.renew("--check") == 0
    assert docs.choices("proxies") in page.read_text()


def test_each_server_and_proxy_has_its_page():
    found = [path for kind in docs.KINDS for path in (docs.DOCS / kind).iterdir()]
    assert sorted(found) == sorted(choice.page for choice in docs.CHOICES), "run `make docs`"
    for choice in docs.CHOICES:
        text = choice.page.read_text(encoding="utf-8")
        assert text.startswith(f"# {choice.entry['title']}\n")
        assert "print(about(cog.inFile))" in text and "print(details(cog.inFile))" in text


def test_every_limitation_is_documented_once():
    """Each limitation is documented either for its server or for its proxy."""
    reasons = {reason for pair in PAIRS for reason in expected_failures(pair).values()}
    documented = [reason for choice in docs.CHOICES for reason in docs.limitations_of(choice)]
    assert sorted(documented) == sorted(reasons), "each server needs its own words for a reason"
    assert reasons


def test_missing_figures_are_omitted(tmp_path, monkeypatch):
    """A page has no figures until its pairs are measured, and then only theirs (invented here)."""
    file = tmp_path / "performance.json"
    monkeypatch.setattr(docs.performance, "FILE", file)
    assert docs.figures() == ""
    facts = {
        str(pair): {
            "work": {
                name: {"per_second": 1000.4 + number}
                for name in ("json_proxied", "wait_proxied", "wait_direct")
            },
            "over_documentation_baseline": 1.25,
            "loaded_memory_mb": {"app": 40, "proxy": 9.5},
            "image_mb": 170.2,
        }
        for number, pair in enumerate(PAIRS)
    }
    file.write_text(json.dumps({"pairs": {str(PAIRS[0]): facts[str(PAIRS[0])]}}))
    last = docs.Choice("servers", SERVERS[-1])
    assert docs.figures(last.pairs) == "", "figures of another pair"
    assert docs.figures().count(" 170.2 |") == 1
    file.write_text(json.dumps({"pairs": facts}))
    shown = docs.figures(last.pairs, docs="../")
    rate = f"{1000 + PAIRS.index(last.pairs[-1]):,}"
    assert f"| {last.pairs[-1]} | {rate} | 1.25 | {rate} ({rate}) | 40 + 9.5 | 170.2 |" in shown
    assert str(PAIRS[0]) not in shown
    assert "](../performance.md)" in shown
    assert shown in docs.details(str(last.page))


# --- Settings ---


def names_on_the_page() -> set[str]:
    page = (docs.DOCS / "settings.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]*?) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_setting_is_on_the_page_and_every_one_on_it_is_read(projects: list[Project]):
    read = {name for project in projects for name in readers(project.path)}
    shown = {name for p in projects for group in explained(p.path) for name in group.values}
    assert names_on_the_page() == read | shown
    # Variables that compose.yaml passes through are read in the container.
    assert shown - read == set()


def test_a_setting_has_one_default(projects: list[Project]):
    for project in projects:
        given = defaults(project.path)
        for group in explained(project.path):
            for name, value in group.values.items():
                told = set() if name in EXAMPLES or not value else {value}
                # compose.yaml writes an empty default as ${NAME:-}.
                assert given[name] - {"/dev/null", ""} == told, (project.path, name)


# --- Links ---


def parsed(page: Path):
    markdown = MarkdownIt("gfm-like", {"linkify": False}).use(anchors_plugin, max_level=6)
    return markdown.parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and images."""
    for token in parsed(page):
        for child in token.children or []:
            if child.type == "link_open":
                yield str(child.attrs["href"])
            elif child.type == "image":
                yield str(child.attrs["src"])
        if token.type == "html_block":
            yield from re.findall(r'(?:src|srcset|href)="([^"]+)"', token.content)


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives a page's headings."""
    return {str(token.attrs["id"]) for token in parsed(page) if token.type == "heading_open"}


def broken(page: Path, root: Path) -> list[str]:
    """Return a page's broken links, and those that leave the repository or project."""
    found = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            # `make links` checks external links. Links to 127.0.0.1 are examples.
            if parts.scheme not in ("https", "http") or not re.fullmatch(
                r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?", parts.netloc
            ):
                found.append(link)
            elif parts.scheme == "http" and not parts.netloc.startswith("127.0.0.1:"):
                found.append(f"{link}: use https")
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        there = target.exists() and target.is_relative_to(root)
        if there and parts.fragment:
            there = target.suffix == ".md" and unquote(parts.fragment) in anchors(target)
        if not there:
            found.append(link)
    return found


@each_page
def test_links(page: Path):
    assert broken(page, ROOT) == []


def test_links_of_a_project(project: Project):
    pages = [file for name, file in project.files().items() if name.endswith(".md")]
    assert {
        str(page): broken(page, project.path) for page in pages if broken(page, project.path)
    } == {}


def test_broken_links_are_detected(tmp_path):
    page = tmp_path / "page.md"
    bad = ["other.md", "#none", "page.md#none", "http://example.com/", "ftp://example.com", "../"]
    good = ["page.md", "#a-heading-12", "page.md#a-heading-12", "https://example.com/x#y"]
    page.write_text("# A *heading*, 1/2\n\n" + "\n".join(f"[x]({link})" for link in bad + good))
    assert [link.split(": ")[0] for link in broken(page, tmp_path)] == bad


# --- Commands ---


def test_every_command_is_run_or_has_a_reason():
    run = words_given_to("run_page", ".") | set(RUN_FROM_READMES)
    found = [command for page in WRITTEN for command in page_commands(page)]
    # The tests of updates run all commands below a heading.
    page = ROOT / "docs" / "updating.md"
    followed = "\n".join(
        commands(page, heading) for heading in words_given_to("follow", "updating")
    )
    for command in found:
        if command in followed:
            continue
        by = [words for words in run if command.startswith(words)]
        by += [words for words in NOT_RUN if re.match(rf"{re.escape(words)}(?!\S)", command)]
        assert by, f"no test runs this command, and NOT_RUN has no reason: {command}"
    for words in [*run, *NOT_RUN]:
        assert any(command.startswith(words) for command in found), f"not on any page: {words}"
    assert set(RUN_FROM_READMES) <= words_given_to("run_readme", "."), "no test runs it"


def test_make_targets_in_pages_exist():
    asked = {c for page in WRITTEN for c in page_commands(page) if c.startswith("make ")}
    for command in asked:
        words = shlex.split(command, comments=True)
        make = ["make", "--dry-run", "--always-make", *words[1:]]
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert asked


def test_messages_of_the_troubleshooting_page_are_produced():
    """Each heading with a quoted message has a test that produces the message."""
    page = docs.DOCS / "troubleshooting.md"
    text = page.read_text(encoding="utf-8")
    headings = [
        heading for heading in re.findall(r"^## (.*)", text, re.M) if blocks(page, "text", heading)
    ]
    assert set(headings) == words_given_to("assert_told", "readme_commands")


def test_pages_name_only_existing_choices():
    """Each name on a page that looks like a pair is a pair."""
    pairs = {str(pair) for pair in PAIRS}
    proxies = "|".join(FACTS["proxy"])
    for page in WRITTEN:
        for name in re.findall(rf"\b[a-z_]+-(?:{proxies})\b", page.read_text(encoding="utf-8")):
            assert name in pairs, (page, name)
