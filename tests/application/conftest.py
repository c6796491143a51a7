"""One running stack per pair with the test application; the tests send requests to its proxy."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.lib.locks import pins
from tests.lib.stack import Stack, run_stack
from tests.lib.template import FACTS, PROXIES, PYTHON_VERSIONS, SERVERS, Pair, base_images
from tests.pairs.conftest import pytest_generate_tests, pytest_runtest_makereport  # noqa: F401
from tests.pairs.project import PACKAGE, make_project

from .samples import write_samples

APP = Path(__file__).parent / "app"


def app_base(pair: Pair) -> str:
    """Return the image's base: each server runs on both if it can, and each Python version too."""
    needs_packages = FACTS["_servers"][pair.server]["debian_packages"]["run"]
    # The proxy decides the Python version.
    number = SERVERS.index(pair.server) + PROXIES.index(pair.proxy)
    return "full" if number % 2 == 0 or needs_packages else "minimal"


def add_abilities(factory: Path) -> None:
    """Add the test application to the project's create_app()."""
    text = factory.read_text(encoding="utf-8")
    # As docs/applications.md says: inside the boundary, and outside of what handles responses only.
    inner = "    failures.init_app(app)\n"
    for old, new in (
        ("\nfrom flask import", "\nimport abilities\nfrom flask import"),
        (inner, "    abilities.sockets.socketio.init_app(app)\n" + inner),
        ("\n    return app\n", "\n    abilities.init_app(app)\n    return app\n"),
    ):
        assert old in text, f"{factory}: the test application goes where {old.strip()!r} is"
        text = text.replace(old, new, 1)
    factory.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def project(
    request: pytest.FixtureRequest, pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the pair's project, with the test application and its libraries added."""
    into = tmp_path_factory.mktemp(f"application-{pair}")
    project = make_project(pair, into, request.config.getoption("mutation"))
    shutil.copytree(APP / "abilities", project / "src" / "abilities")
    for file in (project / "src" / "abilities").glob("*.py"):
        # The name of an existing project's package.
        text = file.read_text(encoding="utf-8").replace("probed", PACKAGE)
        file.write_text(text, encoding="utf-8")
    add_abilities(project / "src" / PACKAGE / "__init__.py")
    requirements = project / "requirements.txt"
    pinned = requirements.read_text(encoding="utf-8")
    # An existing project may have some of them.
    missing = pins((APP / "requirements.txt").read_text(encoding="utf-8"))
    more = [block for name, block in missing.items() if name not in pins(pinned)]
    requirements.write_text(pinned + "".join(more), encoding="utf-8")
    write_samples(project / "samples")
    # Processes that views spawn import the application again, 50 MB each: with the default limit of
    # 512 MB, the kernel killed a worker process of the servers that use most memory.
    settings = [f"APP_BASE={app_base(pair)}", "WEBSOCKETS=on", "APP_MEMORY=768M"]
    (project / ".env").write_text("\n".join([*settings, ""]), encoding="utf-8")
    certificates = project / "certificates"
    certificates.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(certificates / "authority.pem")
    authority.issue_cert("upstream").private_key_and_cert_chain_pem.write_to_path(
        certificates / "server.pem"
    )
    for file in certificates.iterdir():
        file.chmod(0o644)
    return project


@pytest.fixture(scope="session")
def stack(engine: None, pair: Pair, project: Path) -> Iterator[Stack]:
    """Yield the running pair with the test application and the service that it calls."""
    (upstream,) = base_images(PYTHON_VERSIONS[:1], [])
    os.environ.update(UPSTREAM=str(APP / "upstream.py"), UPSTREAM_IMAGE=upstream)
    name = f"{project.name}-abilities-{os.getpid()}"
    with run_stack(pair, project, name, APP / "compose.yaml") as stack:
        yield stack


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """Yield the stack, and start it again after the test."""
    stack.wait_for_upstream()
    yield stack
    stack.start()
