"""Rules for the template: little Jinja, no unused parts, and one source for every choice."""

import itertools
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from jinja2 import nodes

from tests.lib.template import (
    FACTS,
    FOLDER,
    LICENSES,
    OPTIONS,
    PAIRS,
    PROXIES,
    PYTHON_VERSIONS,
    ROOT,
    template_files,
)

from .contexts import environment, rendered_answers
from .names import CHOICES, OWN_DIRECTIVE, foreign_names

RENDERED = [
    path
    for path in template_files()
    if not any(
        fnmatch(path.relative_to(FOLDER).as_posix(), kept) for kept in FACTS["_copy_without_render"]
    )
]


@pytest.fixture(scope="module")
def matrix() -> list[dict]:
    """Return the context for every combination of choices, and for every one of options."""
    switches = itertools.product((False, True), repeat=len(OPTIONS))
    chosen = [dict(itertools.compress(OPTIONS.items(), switch)) for switch in switches]
    return [rendered_answers(**options) for options in chosen] + [
        rendered_answers(
            wsgi_server=pair.server,
            proxy=pair.proxy,
            python_version=python_version,
            license=license,
            deploy_to=target,
            ci=ci,
            **options,
        )
        for pair, python_version, license, ci, (target, options) in itertools.product(
            PAIRS, PYTHON_VERSIONS, LICENSES, FACTS["ci"], [("none", {}), ("all", OPTIONS)]
        )
    ]


def mark_branches(tree: nodes.Template) -> set[str]:
    """Make each branch of ``tree`` write a mark when it is executed; return all marks."""
    marks = set()

    def mark(branch: list[nodes.Node], name: str) -> None:
        marks.add(name)
        branch.insert(0, nodes.Output([nodes.TemplateData(name)]))

    for number, node in enumerate(tree.find_all((nodes.If, nodes.For)), start=1):
        name = f"{type(node).__name__} {number} in line {node.lineno}"
        mark(node.body, f"<{name}, taken>")
        # A loop may always have items: it is not a condition.
        if isinstance(node, nodes.If):
            mark(node.else_, f"<{name}, not taken>")
    assert not any(tree.find_all(nodes.CondExpr)), "use {% if %}: its branches can be traced"
    return marks


def test_every_branch_is_covered(matrix):
    """Each condition is true for some choices and false for others."""
    missed = []
    for path in (*RENDERED, *(ROOT / "hooks").glob("*.py")):
        jinja = environment(matrix[0])
        tree = jinja.parse(path.read_text(encoding="utf-8"))
        marks = mark_branches(tree)
        if not marks:
            continue
        template = jinja.template_class.from_code(jinja, jinja.compile(tree), jinja.globals)
        rendered = "".join(template.render(cookiecutter=answers) for answers in matrix)
        missed += [f"{path.relative_to(ROOT)} {mark}" for mark in marks if mark not in rendered]
    assert not missed


def test_few_lines_have_jinja():
    """At most 5 % of the template's lines have Jinja, except in locks and licences.

    Files that are copied without rendering may contain braces of other languages; their lines
    count as lines without Jinja.
    """
    total = with_jinja = 0
    for path in template_files():
        if path.name.startswith("requirements") or path.name == "LICENSE":
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        total += len(lines)
        if path in RENDERED:
            with_jinja += sum("{{" in line or "{%" in line for line in lines)
    assert with_jinja <= total * 0.05


def test_modules_of_the_application_need_no_jinja():
    for path in (FOLDER / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "{{" not in text and "{%" not in text, path


def test_a_variant_that_replaces_a_shared_file_contains_it():
    """Apart from the lines that it changes, such as imports: they must not diverge."""
    replaced = 0
    for path in (FOLDER / "variants").rglob("*.py"):
        shared = FOLDER.joinpath(*path.relative_to(FOLDER).parts[3:])
        if shared.is_file():
            replaced += 1
            own = set(path.read_text(encoding="utf-8").splitlines())
            lines = shared.read_text(encoding="utf-8").splitlines()
            assert len([line for line in lines if line not in own]) <= 8, path
    assert replaced


def own_choice(path: Path) -> list[str]:
    """Return the choice that a file belongs to, if it is a variant of one."""
    parts = path.relative_to(ROOT).parts
    return [parts[3]] if "variants" in parts and parts[3] in CHOICES else []


# Tests that may name choices: observed behaviour, platforms, replacements of images, comparisons,
# and edits of projects.
KNOW_CHOICES = {"pairs", "differential", "existing", "hosting", "engine"}


def one_source_files() -> list[Path]:
    """Return the files that must not name any server or proxy."""
    found = [*template_files(), *(ROOT / "hooks").glob("*.py")]
    tests = [path for path in (ROOT / "tests").iterdir() if path.is_dir()]
    folders = [path for path in tests if path.name not in KNOW_CHOICES]
    found += (ROOT / "tools").glob("*.py")
    for folder in [*folders, ROOT / ".github"]:
        kinds = (".py", ".yml", ".yaml", ".md")
        found += [path for path in folder.rglob("*") if path.suffix in kinds]
    # A licence may have the name of a foundation that is also a product's. The other file tests
    # the script of one proxy.
    return [path for path in found if path.name not in ("LICENSE", "test_proxy_settings.py")]


@pytest.mark.parametrize("path", one_source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_its_entry_and_folder_name_a_choice(path):
    names = foreign_names(*own_choice(path))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = names.search(line)
        assert not found or OWN_DIRECTIVE.search(line), f"line {number} names {found[0]}: {line}"


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_container_for_certificates_has_the_proxys_user_and_the_known_image(proxy):
    """compose.acme.yaml is not rendered, so it repeats both."""
    facts = FACTS["_proxies"][proxy]
    file = FOLDER / "variants" / "proxy" / proxy / "compose.acme.yaml"
    client = yaml.safe_load(file.read_text(encoding="utf-8"))["services"][facts["acme_client"]]
    if facts["acme_image"]:
        assert client["image"].endswith(f":-{facts['acme_image']}}}")
        assert client["user"] == facts["user"]
    else:
        assert not {"image", "user"} & client.keys()
