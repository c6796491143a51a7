"""Text answers appear unchanged in every kind of generated file."""

import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt

from tests.lib.template import generate

AWKWARD = [
    """He said "it's" 'fine'""",
    "back\\slash \\n \\u0041 at the end \\",
    "$HOME ${HOME} $(id) `id` %s 100 % %(x)s",
    "C# and F # #",
    "a: b, - c [d]: e",
    "--- title ---",
    "# heading",
    "- item",
    "* item",
    "1. first",
    "> quoted",
    "=====",
    "<script>alert(1)</script> & &amp; </p></h1> <!--",
    "*x* **y** _z_ __init__ ~~s~~ `code` [a](b) ![i](j) | cell |",
    "https://example.com/?a=1&b=2 user@example.com",
    "{x} $ {y}% {",
    '""" \'\'\' """',
    "café — naïve, ½ “quoted”",
    "漢字かな　한국어",
    "rocket 🚀 family 👩\u200d👧 flag 🇫🇷",
    # Right-to-left text: Hebrew, and Persian with a zero-width non-joiner.
    "\u05e9\u05dc\u05d5\u05dd \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "a\u00a0b",
    "null",
    "true",
    "0x1F",
    "!!python/object x",
    "@import",
    "{0} {name!r} %(name)s",
]


class TextOf(HTMLParser):
    """Collects the text that a browser shows in each element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Begin an element; ignore void elements, which contain no text."""
        if tag not in ("meta", "link", "br", "img", "hr"):
            self.open.append(tag)
            self.found.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        """End the innermost element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Add text to the innermost element."""
        if self.open:
            self.found[self.open[-1]][-1] += data


@pytest.fixture(scope="module", params=AWKWARD, ids=ascii)
def text(request: pytest.FixtureRequest) -> str:
    """Return each awkward text in turn."""
    return request.param


@pytest.fixture(scope="module")
def project(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a project with this text in every free-text field."""
    # Use the text literally, as at a prompt: Cookiecutter would render it as Jinja here.
    literal = "{% raw %}" + text + "{% endraw %}"
    return generate(
        tmp_path_factory.mktemp("awkward"),
        project_slug="awkward",
        package_name="awkward",
        project_name=literal,
        description=literal,
        author_name=literal,
    )


def test_toml(project, text):
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert about["description"] == text
    assert about["authors"][0]["name"] == text


def test_page(project, text):
    package = project / "src" / "awkward"
    config = tomllib.loads((package / "about.toml").read_text(encoding="utf-8"))
    assert (config["PROJECT_NAME"], config["DESCRIPTION"]) == (text, text)
    # Flask escapes values, and the text must not be interpreted as a template.
    page = Environment(loader=FileSystemLoader(package / "templates"), autoescape=True)
    html = page.get_template("index.html").render(config=config, url_for=lambda *_, **__: "/")
    found = TextOf(html).found
    assert found["title"] == found["h1"] == [text]
    assert found["p"][0] == text


@pytest.mark.parametrize("flavour", ["commonmark", "gfm-like"])
def test_readme(project, text, flavour):
    markdown = MarkdownIt(flavour, {"linkify": False, "html": True})
    html = markdown.render((project / "README.md").read_text(encoding="utf-8"))
    found = TextOf(html).found
    assert found["h1"] == [text]
    assert found["p"][0] == text


def test_licence(project, text):
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a project with the same slug and without awkward text."""
    return generate(
        tmp_path_factory.mktemp("plain"), project_slug="awkward", package_name="awkward"
    )


def test_other_files_do_not_contain_it(project, plain):
    """Other files, such as Python, shell and YAML files, do not depend on the text."""
    spoken = {"README.md", "LICENSE", "pyproject.toml", "src/awkward/about.toml"}
    for path in plain.rglob("*"):
        name = path.relative_to(plain).as_posix()
        if path.is_file() and name not in spoken | {"secrets/secret_key"}:
            assert (project / name).read_bytes() == path.read_bytes(), name
