"""Test pairs with other versions of their server and their proxy: make matrix.

`make matrix PAIRS="SERVER-PROXY ..."` tests these pairs; the default is all. For each pair, a
project is generated with the oldest supported release of the server, one with the newest,
pre-releases included, and one with the newest image of the proxy. Each is tested like the pair.
Prints a table as Markdown, and exits with 1 if a version other than a pre-release fails.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

from tests import engine
from tests.lib.locks import commands, pins
from tests.lib.template import (
    DATABASES,
    EXPECTATIONS,
    FACTS,
    FOLDER,
    PAIRS,
    PROXIES,
    PYTHON_VERSIONS,
    ROOT,
    Pair,
    base_images,
    generate,
)

from .markdown import table
from .summary import Results, read_report

LOCK = "server/requirements.txt"
# Projects that are tested in parallel: their tests wait most of the time.
AT_A_TIME = 2


@dataclass(frozen=True)
class Row:
    """One version of one pair, and its results."""

    pair: Pair
    version: str
    results: Results | None
    # Why there are no results.
    problem: str = ""
    may_fail: bool = False

    @property
    def failed(self) -> bool:
        """Whether this version fails the contract; a pre-release may."""
        return not self.may_fail and bool(self.problem or (self.results and self.results.failed))

    def cells(self) -> list[str]:
        """Return the row of the table."""
        if not self.results:
            return [str(self.pair), self.version, "", "", self.problem]
        names = ", ".join(f"`{name}`" for name, _ in self.results.failed[:5])
        more = len(self.results.failed) - 5
        return [
            str(self.pair),
            self.version,
            str(self.results.passed),
            str(len(self.results.failed)),
            names + (f" and {more} more" if more > 0 else ""),
        ]


def main_requirement(server: str) -> str:
    """Return the name of the server's package."""
    return re.split(r"[\[ ]", FACTS["_servers"][server]["requirement"])[0].replace("_", "-")


def lock_server(project: Path, server: str, *options: str, release: str = "") -> str:
    """Pin the server's packages again, and return the server's version."""
    name = main_requirement(server)
    if release:
        file = project / "pyproject.toml"
        text = file.read_text(encoding="utf-8")
        # The requirement may have extras, and another spelling.
        pattern = rf'"({name.replace("-", "[-_]")}(?:\[[a-z]+\])?)"'
        changed, count = re.subn(pattern, rf'"\1=={release}"', text)
        if count != 1:
            raise ValueError(f"{file} names {name} {count} times")
        file.write_text(changed, encoding="utf-8")
    command = [*commands(project)[LOCK], "--quiet", *options]
    subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    return pinned_release(project, server)


def pinned_release(folder: Path, server: str) -> str:
    """Return the release of the server that the requirements in a folder pin."""
    pinned = pins((folder / LOCK).read_text(encoding="utf-8"))[main_requirement(server)]
    return pinned.partition("==")[2].split()[0]


def changes_of(pair: Pair) -> list[Callable[[Path, Pair], str]]:
    """Return what to change: a version is tested once, also if it is the oldest and the newest."""
    changes = [newest]
    template = FOLDER / "variants" / "wsgi_server" / pair.server
    oldest_release = EXPECTATIONS["_servers"][pair.server]["oldest_release"]
    if oldest_release != pinned_release(template, pair.server):
        changes.insert(0, oldest)
    image = EXPECTATIONS["_proxies"][pair.proxy]["newest_image"]
    if image != FACTS["_proxies"][pair.proxy]["image"]:
        changes.append(newest_proxy)
    return changes


def oldest(project: Path, pair: Pair) -> str:
    """Use the oldest supported release of the server."""
    release = EXPECTATIONS["_servers"][pair.server]["oldest_release"]
    return lock_server(project, pair.server, release=release)


def newest(project: Path, pair: Pair) -> str:
    """Use the newest release of the server, pre-releases included."""
    return lock_server(project, pair.server, "--upgrade", "--prerelease", "allow")


def newest_proxy(project: Path, pair: Pair) -> str:
    """Use the newest image of the proxy."""
    image = EXPECTATIONS["_proxies"][pair.proxy]["newest_image"]
    file = project / "Dockerfile"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(FACTS["_proxies"][pair.proxy]["image"], image), encoding="utf-8")
    engine.ensure([image])
    return image


def try_version(pair: Pair, folder: Path, change: Callable[[Path, Pair], str]) -> Row:
    """Generate a project, change a version, and test it."""
    project = folder / change.__name__ / f"matrix-{pair}".replace("_", "-")
    report = folder / f"{change.__name__}-{pair}.xml"
    is_proxy = change is newest_proxy
    kind, name = ("_proxies", pair.proxy) if is_proxy else ("_servers", pair.server)
    title = FACTS[kind][name]["title"]
    try:
        version = change(project, pair)
    except (subprocess.CalledProcessError, engine.EngineError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        wanted = (
            EXPECTATIONS["_proxies"][pair.proxy]["newest_image"] if is_proxy else change.__name__
        )
        # An image may not be out yet.
        return Row(pair, f"{title}, {wanted}", None, f"not available: {reason}", is_proxy)
    may_fail = not is_proxy and Version(version).is_prerelease
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/pairs", f"--junitxml={report}"],
        cwd=ROOT,
        env=os.environ | {"PROJECT": str(project)},
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if not report.exists():
        return Row(pair, f"{title} {version}", None, "the tests did not run", may_fail)
    return Row(
        pair, f"{title} {version}", read_report(report.read_text(encoding="utf-8")), "", may_fail
    )


def main(names: Sequence[str]) -> int:
    """Test these pairs, by default all; return the exit status."""
    unknown = set(names) - {str(pair) for pair in PAIRS}
    if unknown:
        print(
            f"No such pair: {', '.join(sorted(unknown))}. See the table of README.md.",
            file=sys.stderr,
        )
        return 2
    pairs = [pair for pair in PAIRS if not names or str(pair) in names]
    os.environ.update(engine.ensure(base_images(PYTHON_VERSIONS, PROXIES, DATABASES)))
    with TemporaryDirectory() as temporary, ThreadPoolExecutor(AT_A_TIME) as pool:
        folder = Path(temporary)
        tasks = []
        # In sequence, because Cookiecutter changes the working directory.
        for pair in pairs:
            for change in changes_of(pair):
                generate(
                    folder / change.__name__,
                    project_slug=f"matrix-{pair}".replace("_", "-"),
                    wsgi_server=pair.server,
                    proxy=pair.proxy,
                )
                tasks.append(partial(try_version, pair, folder, change))
        rows = list(pool.map(lambda task: task(), tasks))
    head = ["Pair", "Version", "Passed", "Failed", "Which"]
    print("\n".join(table(head, [row.cells() for row in rows])))
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
