"""Pairs that run with compose.tls.yaml."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.readme import commands
from tests.lib.stack import run, run_stack
from tests.lib.template import PROXIES, PYTHON_VERSIONS, SERVERS, Pair, generate
from tests.lib.tried import try_on
from tests.tls.https import HttpsStack

PACKAGE = "probed"
# The test views that are added to the application.
PROBE = Path(__file__).parents[1] / "pairs" / "probe"

# Servers that the hosting tests do not use, behind alternating proxies.
PAIRS_TRIED = [
    Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS[1::3])
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, getattr(metafunc.module, "PAIRS", PAIRS_TRIED))


@pytest.fixture(scope="session")
def project(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair's project, generated in its own folder."""
    return generate(
        tmp_path_factory.mktemp(str(pair)),
        project_slug=f"overlaid-{pair}".replace("_", "-"),
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=PYTHON_VERSIONS[PROXIES.index(pair.proxy) % len(PYTHON_VERSIONS)],
    )


def make_certificate(project: Path, folder: Path) -> None:
    """Create a certificate below ``folder`` with the commands of the project's README."""
    lines = commands(project / "docs" / "production.md", "Your own certificate").splitlines()
    own = [line for line in lines if not line.startswith("docker ")]
    run(["bash", "-euo", "pipefail", "-c", "\n".join(own)], cwd=folder)


@pytest.fixture(scope="session")
def stack(engine: None, pair: Pair, project: Path) -> Iterator[HttpsStack]:
    """The pair with compose.tls.yaml and the probe's views."""
    make_certificate(project, project)
    os.environ.update(PROBE=str(PROBE), PACKAGE=PACKAGE)
    name = f"{project.name}-{os.getpid()}"
    overlays = project / "compose.tls.yaml", PROBE / "compose.yaml"
    with run_stack(pair, project, name, *overlays, kind=HttpsStack) as stack, stack.tunnel():
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Attach the containers' logs and the proxy's configuration to a failure."""
    report = yield
    for name in ("stack", "development"):
        if report.failed and (stack := getattr(item, "funcargs", {}).get(name)):
            report.sections.append((f"evidence of {stack.pair}", stack.evidence()))
    return report
