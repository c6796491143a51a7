"""A pair's project with the probe's static files, and with a mutation if there is one."""

import gzip
import shutil
from pathlib import Path

from tests.lib.existing import existing
from tests.lib.template import PROXIES, PYTHON_VERSIONS, Pair, generate
from tests.pairs.mutations import MUTATIONS
from tests.pairs.static_files import COMPRESSED, NAMED, OWN_COPY

OWN = existing()
PACKAGE = OWN.package if OWN else "probed"
PROBE = Path(__file__).parent / "probe"


def make_project(pair: Pair, into: Path, mutation: int | None = None) -> Path:
    """Generate the pair's project in its own folder, or copy the existing one; return its path.

    All test folders that use this function share image layers.
    """
    project = OWN.copy(into) if OWN else new_project(pair, into)
    static = project / "src" / PACKAGE / "static"
    shutil.copytree(PROBE / "static", static, dirs_exist_ok=True)
    add_static_files(static)
    if mutation is not None:
        broken = MUTATIONS[mutation]
        file = project / broken.file
        text = file.read_text(encoding="utf-8")
        assert broken.old in text
        file.write_text(text.replace(broken.old, broken.new), encoding="utf-8")
    return project


def new_project(pair: Pair, into: Path) -> Path:
    """Generate the pair's project, with the texts of the existing one if there is one."""
    texts = {"project_name": OWN.name, "description": OWN.description} if OWN else {}
    return generate(
        into,
        **texts,
        project_slug=f"pair-{pair}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=python_version(pair),
    )


def add_static_files(static: Path) -> None:
    """Add files whose names are not possible on every file system."""
    for name in NAMED:
        file = static / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name * 50, encoding="utf-8")
    for name in COMPRESSED:
        (static / name).write_bytes(gzip.compress(name.encode(), mtime=0))
    (static / OWN_COPY).write_text("plain", encoding="utf-8")
    (static / "link.css").symlink_to("style.css")
    (static / "dangling.css").symlink_to("nothing.css")


def python_version(pair: Pair) -> str:
    """Return the pair's Python version: one per proxy, so every server runs on each version."""
    return PYTHON_VERSIONS[PROXIES.index(pair.proxy) % len(PYTHON_VERSIONS)]
