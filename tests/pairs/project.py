"""A pair's project with the probe's static files, broken in some way where that is asked for."""

import shutil
from pathlib import Path

from tests.harness.template import PROXIES, PYTHON_VERSIONS, Pair, generate
from tests.pairs.mutations import MUTATIONS

PACKAGE = "probed"
PROBE = Path(__file__).parent / "probe"


def make_project(pair: Pair, into: Path, mutation: int | None = None) -> Path:
    """Generate the pair's project alone in a folder; return where it is.

    Every folder of tests that uses this shares the images' layers with the others.
    """
    project = generate(
        into,
        project_slug=f"pair-{pair}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=python_version(pair),
    )
    shutil.copytree(PROBE / "static", project / "src" / PACKAGE / "static", dirs_exist_ok=True)
    if mutation is not None:
        broken = MUTATIONS[mutation]
        file = project / broken.file
        text = file.read_text(encoding="utf-8")
        assert broken.old in text
        file.write_text(text.replace(broken.old, broken.new), encoding="utf-8")
    return project


def python_version(pair: Pair) -> str:
    """Spread the Python versions over the proxies, so that every server runs on each of them."""
    return PYTHON_VERSIONS[PROXIES.index(pair.proxy) % len(PYTHON_VERSIONS)]
