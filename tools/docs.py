"""The documentation's tables, lists and snippets, generated from the template.

A page has Cog (https://cog.readthedocs.io/) markers that call a function of this module; Cog writes
the output between the markers. `make docs` updates all pages, and creates missing pages for servers
and proxies.
"""

import ast
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from cogapp import Cog

from tests.lib.template import (
    EXPECTATIONS,
    FACTS,
    FOLDER,
    OPTIONS,
    PAIRS,
    PROXIES,
    ROOT,
    SERVERS,
    Pair,
    generate,
)
from tests.pairs import test_limits

from . import conformance, markdown
from .bench import page as performance
from .bench.features import features  # noqa: F401  # docs/scaling.md calls it
from .bench.sizing import tables as sizing  # noqa: F401  # docs/scaling.md calls it
from .settings import defaults, explained, read_names, readers

DOCS = ROOT / "docs"
# By the folder of the pages: the question in cookiecutter.json, and the key of its entries there.
KINDS = {"servers": ("wsgi_server", "_servers"), "proxies": ("proxy", "_proxies")}
NEW_PAGE = """# {title}

<!-- [[[cog print(about(cog.inFile)) ]]] -->
<!-- [[[end]]] -->

<!-- [[[cog print(details(cog.inFile)) ]]] -->
<!-- [[[end]]] -->
"""
FIGURES = """## Figures

Through the proxy, on one CPU: small responses a second, also as a multiple of the baseline, which
is the set-up that the documentation of Flask or of the server recommends; responses a second of a
view that waits for 100 ms, in brackets without the proxy; memory of application and proxy after the
load and size of the application's image, in MB. [Performance]({docs}performance.md) has all
figures, and says how they were measured.

"""


class Choice(NamedTuple):
    """A server or a proxy."""

    kind: str
    name: str

    @property
    def entry(self) -> dict[str, Any]:
        """The entry in cookiecutter.json."""
        return FACTS[KINDS[self.kind][1]][self.name]

    @property
    def expectations(self) -> dict[str, Any]:
        """The entry in tests/expectations.json."""
        return EXPECTATIONS[KINDS[self.kind][1]][self.name]

    @property
    def page(self) -> Path:
        """The path of its page."""
        return DOCS / self.kind / f"{self.name}.md"

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that include it."""
        return [pair for pair in PAIRS if self.name in (pair.server, pair.proxy)]

    @property
    def folder(self) -> Path:
        """The template's folder with its own files."""
        return FOLDER / "variants" / KINDS[self.kind][0] / self.name

    def files(self) -> dict[Path, Path]:
        """Return its files in the template by their path in a generated project; not the lock."""
        return {
            project(self.pairs[0]) / path.relative_to(self.folder): path
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.suffix != ".pyc" and path.name != "requirements.txt"
        }


CHOICES = [Choice(kind, name) for kind, (question, _) in KINDS.items() for name in FACTS[question]]


def of_kind(kind: str) -> list[Choice]:
    """Return all servers, or all proxies."""
    return [choice for choice in CHOICES if choice.kind == kind]


def choice_of(page: str) -> Choice:
    """Return the server or proxy that a page describes, by the page's path."""
    path = Path(page)
    return Choice(path.parent.name, path.stem)


@cache
def scratch() -> tempfile.TemporaryDirectory:
    """Return a temporary folder that is removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="docs-")


@cache
def project(pair: Pair) -> Path:
    """Return a generated project with all options."""
    into = Path(scratch().name) / str(pair)
    return generate(into, wsgi_server=pair.server, proxy=pair.proxy, **OPTIONS)


def table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    safe = ([str(cell).replace("|", r"\|") for cell in row] for row in rows)
    return "\n".join(markdown.table(head, safe)).rstrip()


def together(rows: Iterable[list[str]]) -> list[str]:
    """Merge several rows into one; cells that differ are joined with <br>."""
    columns = zip(*rows, strict=True)
    return ["<br>".join(column if len(set(column)) > 1 else column[:1]) for column in columns]


# --- Content about all servers and proxies ---


def settings() -> str:
    """Return the tables of all settings in .env, one per section."""
    sections: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(lambda: defaultdict(dict))
    # For each proxy, because each has some settings of its own.
    for folder in [project(Pair(SERVERS[0], proxy)) for proxy in PROXIES]:
        read, given = readers(folder), defaults(folder)
        for group in explained(folder):
            for name in group.values:
                # /dev/null stands for an empty file.
                default = " ".join(given[name] - {"/dev/null"})
                sections[group.section][group.meaning][name] = [
                    f"`{name}`",
                    f"`{default}`" if default else "none",
                    ", ".join(sorted(read[name])),
                ]
    head = ["setting", "default", "read by", "meaning"]
    return "\n\n".join(
        f"### {section}\n\n"
        + table(head, ([*together(rows.values()), meaning] for meaning, rows in groups.items()))
        for section, groups in sections.items()
    )


def choices(kind: str, folder: str = "") -> str:
    """Return the table of all servers or proxies; ``folder`` is the path from the page to docs/."""
    rows = (
        [
            f"[{choice.entry['title']}]({folder}{kind}/{choice.name}.md)",
            choice.entry["best_for"],
            choice.entry["caveats"],
        ]
        for choice in of_kind(kind)
    )
    head = {"servers": "Server", "proxies": "Proxy"}[kind]
    return table([head, "Best for", "Caveats"], rows)


def limitations_of(choice: Choice) -> dict[str, list[str]]:
    """Return the reasons of its expected failures, each with the pairs concerned."""
    return {
        failure["reason"]: [
            str(pair)
            for pair in choice.pairs
            if failure["paired_with"] in ("*", pair.server, pair.proxy)
        ]
        for failure in choice.expectations["expected_failures"]
    }


def limitation_list(choice: Choice) -> str:
    """Return the list of its limitations."""
    lines = []
    for reason, pairs in limitations_of(choice).items():
        text = re.sub(r"https?://\S+", r"<\g<0>>", reason)
        lines.append(
            f"- {text}"
            + ("" if len(pairs) == len(choice.pairs) else f"; on {', '.join(pairs)} alone")
        )
    return "\n".join(lines)


def limitations() -> str:
    """Return the limitations of all servers and proxies that have some."""
    return "\n\n".join(
        f"**{choice.entry['title']}**\n\n{found}"
        for choice in CHOICES
        if (found := limitation_list(choice))
    )


def figures(pairs: Iterable[Pair] = PAIRS, docs: str = "") -> str:
    """Return a section with the results of `make bench` for some pairs, if there are any.

    ``docs`` is the path from the page to docs/.
    """
    if not performance.FILE.exists():
        return ""
    measured = json.loads(performance.FILE.read_text(encoding="utf-8"))["pairs"]
    pairs = [pair for pair in pairs if str(pair) in measured]
    if not pairs:
        return ""
    tables = performance.TABLES
    columns = {
        "small responses": tables["small"]["proxied"],
        "by the baseline's": tables["small"]["proxied / baseline"],
        "waiting responses": tables["other"]["waiting"],
        "memory": tables["memory"]["loaded"],
        "image": tables["images"]["application"],
    }
    rows = ([pair, *(find(measured[str(pair)]) for find in columns.values())] for pair in pairs)
    return FIGURES.format(docs=docs) + table(["pair", *columns], rows)


# --- Content of the security page ---


def only(pattern: str, text: str, where: object) -> str:
    """Return the text of a pattern's group, which must be the same for all matches."""
    found = set(re.findall(pattern, text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{where}: one match of {pattern} expected, found {found or 'none'}")
    return found.pop()


def line_of(choice: Choice, beginning: str) -> str:
    """Return the line of a proxy's configuration with this beginning, as code."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in choice.files().values())
    return code([only(rf"^\s*({re.escape(beginning)}.*?)(?: \{{| then|;)?$", text, choice.name)])


def directives(head: str, rows: dict[str, dict[str, list[str] | str]]) -> str:
    """Return a table of the lines in each proxy's configuration for some subjects.

    Lines are given by their beginnings; a string instead of a list is used unchanged.
    """
    cells = (
        [
            subject,
            *(
                own
                if isinstance(own := lines[choice.name], str)
                else "<br>".join(line_of(choice, beginning) for beginning in own)
                for choice in of_kind("proxies")
            ),
        ]
        for subject, lines in rows.items()
    )
    return table([head, *(choice.entry["title"] for choice in of_kind("proxies"))], cells)


def tested_limits(meanings: dict[str, str]) -> str:
    """Return the table of a request's limits, with the values from test_limits.py."""
    (mark,) = test_limits.test_limit_of_a_request.pytestmark
    tested = {make.__name__: (most, refusal) for make, most, refusal in mark.args[1]}
    if meanings.keys() != tested.keys():
        raise ValueError(f"meanings for {list(meanings)}, tests of {list(tested)}")
    rows = (
        [meaning, f"{tested[name][0]:,}", tested[name][1]] for name, meaning in meanings.items()
    )
    return table(["", "most", "status beyond it"], rows)


def headers_sent(**patterns: Callable[[str], str]) -> str:
    """Return the table of the security headers with the values of application and proxies.

    ``patterns``: for each proxy, a function from a header's name to the pattern of its value.
    """
    module = next((FOLDER / "src").rglob("headers.py"))
    defaults_of_application = next(
        ast.literal_eval(node.value)
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DEFAULTS"
    )
    rows = []
    for name, value in defaults_of_application.items():
        found = set()
        for choice in of_kind("proxies"):
            text = "\n".join(file.read_text(encoding="utf-8") for file in choice.files().values())
            found.add(only(patterns[choice.name](name), text, choice.name))
        (of_proxies,) = found
        rows.append(
            [f"`{name}`", f"`{value}`", "the same" if value in found else f"`{of_proxies}`"]
        )
    return table(["header", "application", "proxy"], rows)


def settings_of(*names: str) -> str:
    """Return the table of some settings: default, meaning, and the proxies if not all have it."""
    rows: dict[str, list[str]] = {}
    proxies = defaultdict(list)
    for proxy in PROXIES:
        for group in explained(project(Pair(SERVERS[0], proxy))):
            for name, value in group.values.items():
                rows[name] = [f"`{name}`", f"`{value}`" if value else "none", group.meaning]
                proxies[name].append(FACTS["_proxies"][proxy]["title"])
    for name, row in rows.items():
        if len(proxies[name]) < len(PROXIES):
            row[2] = f"{', '.join(proxies[name])} alone: {row[2]}"
    return table(["setting", "default", "meaning"], (rows[name] for name in names))


def tested(*paths: str) -> str:
    """Return a list of files or folders of tests, each with the first line of its docstring."""
    lines = []
    for path in (ROOT / "tests" / name for name in paths):
        file = path / "__init__.py" if path.is_dir() else path
        if file.is_file() and (text := ast.get_docstring(ast.parse(file.read_text("utf-8")))):
            name = path.relative_to(ROOT).as_posix()
            lines.append(f"- [{name}](../{name}): {text.splitlines()[0]}")
    return "\n".join(lines)


# --- Abilities of applications ---


def docstring(file: Path, function: str = "") -> str:
    """Return the first docstring line of a module or of one of its functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if getattr(node, "name", "") == function]
    text = ast.get_docstring(nodes[0] if function else tree) or ""
    return text.partition("\n")[0].rstrip(".")


def abilities(*servers: str, headings: str = "###") -> str:
    """Return the tables of the abilities of applications on these servers, by default on all.

    The data is from the last run of tests/application/: "yes" if all tests of an ability passed
    with both proxies, otherwise the numbers of the reasons for expected failures; empty if a server
    has not been tested yet.
    """
    pairs = json.loads(conformance.JSON.read_text(encoding="utf-8"))["pairs"]
    tested = {pair: facts["abilities"] for pair, facts in pairs.items() if "abilities" in facts}
    names = sorted({name for found in tested.values() for name in found})
    reasons: list[str] = []
    groups: dict[str, list[list[str]]] = defaultdict(list)
    for name in names:
        group, _, test = name.partition("::")
        file = ROOT / "tests" / "application" / f"test_{group}.py"
        cells = []
        for server in servers or SERVERS:
            own = [tested.get(str(pair), {}) for pair in PAIRS if pair.server == server]
            if not all(name in found for found in own):
                cells.append("")
                continue
            limits_found = {reason for found in own for reason in found[name]["limitations"]}
            reasons += sorted(limits_found - set(reasons))
            numbers = sorted(reasons.index(reason) + 1 for reason in limits_found)
            cells.append(f"limited: {', '.join(map(str, numbers))}" if numbers else "yes")
        groups[docstring(file)].append([docstring(file, test), *cells])
    head = ["", *(FACTS["_servers"][server]["title"] for server in servers or SERVERS)]
    parts = [f"{headings} {group}\n\n{table(head, rows)}" for group, rows in groups.items()]
    if reasons:
        links = (re.sub(r"https?://\S+", r"<\g<0>>", reason) for reason in reasons)
        parts.append("\n".join(f"{number}. {link}" for number, link in enumerate(links, 1)))
    return "\n\n".join(parts)


def abilities_of(choice: Choice) -> str:
    """Return the number of abilities without a limitation on a server, and the limited ones."""
    pairs = json.loads(conformance.JSON.read_text(encoding="utf-8"))["pairs"]
    found = [pairs.get(str(pair), {}).get("abilities") for pair in choice.pairs]
    if not all(found):
        return "Not tested yet: run `make conformance`."
    limited = sorted({name for own in found for name in own if own[name]["limitations"]})
    lines = [
        f"{len(found[0]) - len(limited)} of {len(found[0])} [abilities of applications]"
        "(../applications.md#abilities) without a limitation"
        + ("; limited, for the reasons below:\n" if limited else ".")
    ]
    for name in limited:
        group, _, test = name.partition("::")
        file = ROOT / "tests" / "application" / f"test_{group}.py"
        lines.append(f"- {docstring(file, test)}")
    return "\n".join(lines)


# --- Content of the page of one server or proxy ---


def about(page: str) -> str:
    """Return the table of facts about a server or proxy."""
    choice = choice_of(page)
    entry = choice.entry
    facts = {"best for": entry["best_for"], "caveats": entry["caveats"]}
    facts |= of_server(choice) if choice.kind == "servers" else of_proxy(choice)
    facts |= {
        "command": code(entry["command"]),
        "stop": f"`{entry['stop_signal']}`: requests in flight have `GRACEFUL_TIMEOUT` seconds",
        "configuration": ", ".join(
            # The path contains braces.
            f"[{file.name}](<../../{file.relative_to(ROOT).as_posix()}>)"
            for file in choice.files().values()
            if file.suffix in (".py", ".ini", ".conf", ".template")
        ),
        "its own documentation": f"<{entry['documentation']}>",
    }
    return table(["", ""], facts.items())


def of_server(choice: Choice) -> dict[str, str]:
    """Return the facts that only servers have."""
    entry = choice.entry
    lock = (choice.folder / "server" / "requirements.txt").read_text(encoding="utf-8")
    # With its extras, which have the names of the packages that they install.
    names = re.findall(r"[\w-]+", entry["requirement"].replace("_", "-"))
    nearest = entry["without_image"]
    return {
        "release": ", ".join(code(re.findall(rf"^{name}==[^ ;]+", lock, re.M)) for name in names),
        "oldest tested release": code([choice.expectations["oldest_release"]]),
        "Debian's packages, to build": ", ".join(entry["debian_packages"]["build"]) or "none",
        "Debian's packages, to run": ", ".join(entry["debian_packages"]["run"]) or "none",
        "`APP_BASE=minimal`": "no" if entry["debian_packages"]["run"] else "yes",
        "on a platform's own Python, without an image": (
            f"no: [{FACTS['_servers'][nearest]['title']}]({nearest}.md) is the nearest that can"
            if nearest
            else "yes"
        ),
        "health": "`/health/live` responds if the process runs, `/health/ready` if it can serve",
    }


def of_proxy(choice: Choice) -> dict[str, str]:
    """Return the facts that only proxies have."""
    entry = choice.entry
    return {
        "image": f"`{entry['image']}`, or what `{entry['image_argument']}` names",
        "user": f"`{entry['user']}`, without capabilities, on a read-only file system",
        "health": "`/health/proxy`, whether or not the application is well",
        "check the configuration": code(in_proxy(choice.expectations["check_configuration"])),
        "show the configuration": code(in_proxy(choice.expectations["show_configuration"])),
        "reload the certificate": code(in_proxy(entry["reload"])),
    }


def in_proxy(command: list[str]) -> list[str]:
    """Return the docker compose command that runs a command in the proxy."""
    return ["docker", "compose", "exec", "proxy", *command]


def code(words: list[str]) -> str:
    """Return words as inline code."""
    return f"`{' '.join(words)}`"


def details(page: str) -> str:
    """Return how a server or proxy uses the common settings, its limitations, and its figures."""
    choice = choice_of(page)
    parts = [f"## Settings\n\n{settings_read(choice)}"]
    if not_used := [
        f"- `{name}` is {group.meaning}"
        for group in explained(project(choice.pairs[0]))
        for name in group.values
        if choice.kind == "servers" and name in choice.expectations["unused_settings"]
    ]:
        parts.append("\n".join(not_used))
    if choice.kind == "servers":
        parts.append(f"## Abilities\n\n{abilities_of(choice)}")
    parts.append(f"## Limitations\n\n{limitation_list(choice) or 'No expected failures.'}")
    parts.append(figures(choice.pairs, docs="../"))
    return "\n\n".join(filter(None, parts))


def settings_read(choice: Choice) -> str:
    """Return the table of the settings that a choice's own files read, with those lines."""
    rows = defaultdict(list)
    names = [name for group in explained(project(choice.pairs[0])) for name in group.values]
    for file in choice.files():
        if not read_names(file):
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            for name in set(re.findall(r"[A-Z_]+", line)) & set(names):
                if not line.lstrip().startswith("#"):
                    rows[name].append(code([shortened(line.strip().rstrip(","), name)]))
    ordered = (
        [f"`{name}`", "<br>".join(dict.fromkeys(rows[name]))] for name in names if name in rows
    )
    return table(["setting", "as its configuration takes it"], ordered)


def shortened(line: str, name: str) -> str:
    """Return a line, or only the word with the name if the line is long."""
    return line if len(line) <= 100 else next(word for word in line.split() if name in word)


def snippet(page: str, file: str, first: str, last: str) -> str:
    """Return a file's lines from the one with ``first`` to the next one with ``last``."""
    path = project(choice_of(page).pairs[0]) / file
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if first in line)
    end = next(number for number in range(begin, len(lines)) if last in lines[number])
    language = {".py": "python", ".conf": "apacheconf", ".ini": "ini"}.get(path.suffix, "")
    shown = dedent("\n".join(lines[begin : end + 1]))
    return f"```{language}\n{shown}\n```"


# --- Updating the pages ---


def pages() -> list[Path]:
    """Return all pages with cog markers."""
    found = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [page for page in found if "[[[cog" in page.read_text(encoding="utf-8")]


def renew(*options: str) -> int:
    """Run cog on the pages, by default to update them; return its status."""
    prologue = f"from {__spec__.name} import *"
    return Cog().main(["cog", *(options or ["-r"]), "-P", "-p", prologue, *map(str, pages())])


def main() -> None:
    """Create missing pages, and update all."""
    for choice in CHOICES:
        if not choice.page.exists():
            choice.page.parent.mkdir(exist_ok=True)
            choice.page.write_text(NEW_PAGE.format(title=choice.entry["title"]), encoding="utf-8")
    sys.exit(renew())


if __name__ == "__main__":
    main()
