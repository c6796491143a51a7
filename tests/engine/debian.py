"""The Debian archive of this machine, and apt without changes to the system."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import EngineError
from .progress import run_logged

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Archive:
    """The URLs of the Debian archives that this machine uses."""

    main: str
    security: str | None


def is_usable() -> bool:
    """Return whether packages can be unpacked here: needs apt, dpkg, Debian's keys and root."""
    tools = all(map(shutil.which, ("apt-get", "apt-config", "dpkg")))
    return tools and KEYRING.exists() and os.geteuid() == 0


def suite() -> str:
    """Return the code name of the machine's suite."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


@cache
def archive() -> Archive:
    """Return the archive's URLs from apt, which supports every format of its sources."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    main = next((uri for uri in listed if re.search(r"/debian/?$", uri)), None)
    security = next((uri for uri in listed if re.search(r"/debian-security/?$", uri)), None)
    if main is None:
        raise EngineError(
            "no Debian archive (a URL that ends in /debian) is in apt's sources:"
            " add one, or install Docker Engine with its compose and buildx plugins"
        )
    return Archive(main, security)


class Apt:
    """Apt with separate state in one folder; downloads packages of one suite, installs nothing."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder
        self.suite = suite
        self.log = folder / "log"

    def prepare(self) -> None:
        """Write the configuration and fetch the package lists."""
        for name in ("lists/partial", "archives/partial", "sources"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources/suite.sources").write_text(
            f"Types: deb\nURIs: {archive().main}\nSuites: {self.suite}\nComponents: main\n"
            # A mirror may have an outdated copy of a suite that is not released yet.
            f"Signed-By: {KEYRING}\nCheck-Valid-Until: no\n"
        )
        # Only the machine's settings for access to the archive are kept: others run hooks that
        # change the system.
        reach = re.findall(
            r"^Acquire::https?::.*$",
            subprocess.run(
                ["apt-config", "dump"], capture_output=True, text=True, check=True
            ).stdout,
            re.MULTILINE,
        )
        (self.folder / "apt.conf").write_text(
            f"""\
Dir::State "{self.folder}";
Dir::State::status "{self.folder}/status";
Dir::Cache "{self.folder}";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{self.folder}/sources";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
"""
            + "\n".join(reach)
            + "\n"
        )
        self._run(["apt-get", "update", "--error-on=any"])

    def unpack(self, packages: Sequence[str], root: Path) -> None:
        """Download these packages, without dependencies, and unpack them below a folder."""
        downloads = self.folder / "downloads"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        self._run(["apt-get", "download", *packages], folder=downloads)
        self._unpack(sorted(downloads.iterdir()), root)
        shutil.rmtree(downloads)

    def bootstrap(self, packages: Sequence[str], root: Path) -> list[Path]:
        """Download a system's packages and unpack them without configuration; return the files."""
        self._run(
            ["apt-get", "install", "--download-only", "--no-install-recommends", "--yes", *packages]
        )
        debs = sorted((self.folder / "archives").glob("*.deb"))
        # base-files has the links /bin, /lib, ... that the others need.
        self._unpack(sorted(debs, key=lambda deb: not deb.name.startswith("base-files_")), root)
        return debs

    def _unpack(self, debs: Sequence[Path], root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for deb in debs:
            self._run(["dpkg", "--extract", deb, root])

    def _run(self, command: Sequence[str | Path], folder: Path | None = None) -> None:
        run_logged(
            command,
            self.log,
            cwd=folder,
            env={**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"},
            failure=f"'{' '.join(map(str, command[:3]))} …' failed for Debian {self.suite}",
        )
