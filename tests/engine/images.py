"""Base images: from a registry if one can be reached, otherwise stand-ins from Debian packages.

`images/<repository>/` has a stand-in's recipe; the tag selects the version and the Debian suite.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import debian, private
from .client import Docker
from .errors import EngineError
from .progress import run_logged, say, step

RECIPES = Path(__file__).with_name("images")
CACHE = private.FOLDER / "images"
SUITE = "trixie"  # default base of the stand-ins, unless the tag names a suite
NEWER_SUITE = "forky"  # the source of versions that the suite does not have

ANSWER_LIMIT = 20  # seconds until a registry must begin to respond
# Error messages of a registry that does not have the image or does not deliver it.
REFUSALS = re.compile(r"manifest unknown|: not found$|toomanyrequests|denied|unauthorized", re.I)


def recipes() -> list[str]:
    """List the repositories that stand-ins can be built for."""
    return sorted(path.parent.name for path in RECIPES.glob("*/Dockerfile"))


@dataclass(frozen=True)
class StandIn:
    """A stand-in for one official image."""

    image: str

    @cached_property
    def repository(self) -> str:
        """The name of the recipe's folder: the last part of the image's name."""
        return self.image.partition(":")[0].rpartition("/")[2]

    @cached_property
    def folder(self) -> Path:
        """The path of the recipe's folder."""
        known = recipes()
        if self.repository not in known:
            raise EngineError(
                f"no registry can be reached for {self.image}, and tests/engine/images has a recipe"
                f" for {', '.join(known)} only: add one, or 'docker load' the image"
            )
        return RECIPES / self.repository

    @cached_property
    def version(self) -> str:
        """The version in the tag; empty if the tag names a suite."""
        return re.match(r"v?([\d.]*)", self._tag)[1]

    @cached_property
    def suite(self) -> str:
        """The Debian suite in the tag, or the default."""
        words = re.findall(r"[a-z]{2,}", self._tag)
        return next((word for word in words if word not in ("slim", "latest")), SUITE)

    @cached_property
    def base(self) -> "StandIn | None":
        """The stand-in that is the base of this one."""
        return None if self.repository == "debian" else StandIn(f"debian:{self.suite}-slim")

    @cached_property
    def key(self) -> str:
        """A hash of all inputs of the build."""
        parts = [
            self.image,
            repr(debian.archive()),
            NEWER_SUITE,
            self.base.key if self.base else "",
        ]
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                parts += [str(path.relative_to(self.folder)), path.read_text()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def _tag(self) -> str:
        return self.image.rpartition(":")[2]

    @property
    def slug(self) -> str:
        """The image's name as a prefix for file names."""
        return re.sub(r"[^\w.-]", "_", self.image)


def missing(docker: Docker, images: Iterable[str]) -> list[str]:
    """Return the images that are missing or are stand-ins from an older recipe."""

    def is_there(image: str) -> bool:
        label = '{{index .Config.Labels "stand-in.recipe"}}'
        shown = docker.run("image", "inspect", "--format", label, image)
        key = shown.stdout.strip()
        if shown.returncode or not key or not debian.is_usable():
            return shown.returncode == 0
        return key == StandIn(image).key

    return [image for image in images if not is_there(image)]


def provide(docker: Docker, images: Iterable[str]) -> None:
    """Pull the images, or build stand-ins for them if no registry can be reached."""
    images = list(images)
    # The first image decides for all, to wait only once for a registry.
    while images and _pull(docker, images[0]):
        images.pop(0)
    if not images:
        return
    stand_ins = [StandIn(image) for image in images]
    for stand_in in stand_ins:
        stand_in.folder  # noqa: B018 - an unknown name fails before anything is built
    if not debian.is_usable():
        raise EngineError(
            f"no registry can be reached for {', '.join(images)}, and only root on Debian can build"
            " stand-ins: fix the network, or 'docker load' the images"
        )
    _in_parallel(lambda stand_in: _load(docker, stand_in), stand_ins)
    stand_ins = [StandIn(image) for image in missing(docker, images)]
    bases = {stand_in.base or stand_in for stand_in in stand_ins}
    for base in bases:
        if missing(docker, [base.image]) and not _load(docker, base):
            _build_and_save(docker, base)
    _in_parallel(
        lambda stand_in: _build_and_save(docker, stand_in),
        [stand_in for stand_in in stand_ins if stand_in not in bases],
    )


def _in_parallel(work: Callable[[StandIn], object], stand_ins: list[StandIn]) -> None:
    with ThreadPoolExecutor(max_workers=len(stand_ins) or 1) as pool:
        list(pool.map(work, stand_ins))


def _pull(docker: Docker, image: str) -> bool:
    """Pull an image; return whether a registry could be reached.

    The time until the registry responds is limited, not the download.
    """
    with step(f"trying to pull {image}"), tempfile.NamedTemporaryFile() as output:
        process = subprocess.Popen(
            ["/usr/bin/env", *docker.command("pull", image)],
            env=docker.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

        def said() -> str:
            return Path(output.name).read_text(errors="replace")

        deadline = time.monotonic() + ANSWER_LIMIT
        while process.poll() is None and "Pulling from" not in said():
            if time.monotonic() > deadline:
                process.kill()
                break
            time.sleep(0.1)
        if process.wait() == 0:
            return True
        text = said().strip()
    reason = text.rpartition("\n")[2] or f"no answer in {ANSWER_LIMIT} s"
    if "Pulling from" in text or REFUSALS.search(reason):
        raise EngineError(
            f"a registry responds, but {image} cannot be pulled: {reason};"
            " try again, or 'docker load' the image"
        )
    say(f"no registry can be reached ({reason}): stand-ins take the place of official images")
    return False


def _load(docker: Docker, stand_in: StandIn) -> bool:
    """Load a stand-in from the cache; return whether that succeeded."""
    for cached in CACHE.glob(f"{stand_in.slug}-{stand_in.key}.tar.*"):
        with step(f"loading the stand-in for {stand_in.image}"):
            loaded = docker.run("load", "--input", cached).returncode == 0
        if loaded:
            return True
        say(f"{cached} cannot be loaded: it is built again")
        cached.unlink()
    return False


def _build_and_save(docker: Docker, stand_in: StandIn) -> None:
    with step(f"building a stand-in for {stand_in.image}"):
        _build(docker, stand_in)
    _save(docker, stand_in)


def _build(docker: Docker, stand_in: StandIn) -> None:
    archive = debian.archive()
    arguments = {
        "VERSION": stand_in.version,
        "SUITE": stand_in.suite,
        "NEWER_SUITE": NEWER_SUITE,
        "ARCHIVE": archive.main,
        "SECURITY_ARCHIVE": archive.security or "",
    }
    if index := os.environ.get("PIP_INDEX_URL"):
        arguments["PIP_INDEX_URL"] = index
    labels = {
        "stand-in": f"in place of the official {stand_in.image}, made from Debian packages",
        "stand-in.recipe": stand_in.key,
    }
    authorities = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    with tempfile.TemporaryDirectory(dir=private.FOLDER, prefix="context-") as temporary:
        context = stand_in.folder
        if stand_in.base is None:
            context = Path(temporary, "context")
            shutil.copytree(stand_in.folder, context)
            _bootstrap(stand_in, context)
        run_logged(
            [
                *docker.command("build", "--progress", "plain", "--tag", stand_in.image),
                *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                *(f"--label={name}={value}" for name, value in labels.items()),
                *([f"--secret=id=ca,src={authorities}"] if authorities.exists() else []),
                context,
            ],
            private.FOLDER / f"logs/{stand_in.slug}.log",
            env=docker.env,
            failure=f"the stand-in for {stand_in.image} could not be built",
        )


def _bootstrap(stand_in: StandIn, context: Path) -> None:
    """Put the packages of a small system into a build context, as files and unpacked."""
    apt = debian.Apt(private.FOLDER / "apt" / stand_in.suite, stand_in.suite)
    apt.prepare()
    packages = (stand_in.folder / "packages").read_text().split()
    root, debs = context / "root", context / "debs"
    debs.mkdir()
    for deb in apt.bootstrap(packages, root):
        shutil.move(deb, debs)
    subprocess.run(["tar", "-C", root, "-cf", context / "unpacked.tar", "."], check=True)
    shutil.rmtree(root)


def _save(docker: Docker, stand_in: StandIn) -> None:
    """Save a stand-in as a compressed file, which is kept when the engine's data is removed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    program, ending = ("zstd", "zst") if shutil.which("zstd") else ("gzip", "gz")
    target = CACHE / f"{stand_in.slug}-{stand_in.key}.tar.{ending}"
    partial = CACHE / f"{stand_in.slug}.partial"
    with partial.open("wb") as output:
        save = subprocess.Popen(
            ["/usr/bin/env", *docker.command("save", stand_in.image)],
            env=docker.env,
            stdout=subprocess.PIPE,
        )
        compress = subprocess.run(
            [program, "-3", "-c"], stdin=save.stdout, stdout=output, check=False
        )
        save.stdout.close()
        if save.wait() or compress.returncode:
            partial.unlink()
            raise EngineError(
                f"{stand_in.image} could not be saved to {CACHE}: check the free disk space"
            )
    for outdated in CACHE.glob(f"{stand_in.slug}-*"):
        outdated.unlink()
    partial.rename(target)
