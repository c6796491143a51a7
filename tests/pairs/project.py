"""A pair's project with the probe's static files, and with a mutation if there is one."""

import gzip
import shutil
from pathlib import Path

from tests.lib.template import PROXIES, PYTHON_VERSIONS, Pair, generate
from tests.pairs.mutations import MUTATIONS
from tests.pairs.static_files import COMPRESSED, NAMED, OWN_COPY

PACKAGE = "probed"
PROBE = Path(__file__).parent / "probe"


def make_project(pair: Pair, into: Path, mutation: int | None = None) -> Path:
    """Generate the pair's project in its own folder and return its path.

    All test folders that use this function share image layers.
    """
    project = generate(
        into,
        project_slug=f"pair-{pair}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=python_version(pair),
    )
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
