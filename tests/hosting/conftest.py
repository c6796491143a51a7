"""Projects for all platforms, and their images, built once for each tested pair."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.lib.stack import run
from tests.lib.template import FACTS, PROXIES, PYTHON_VERSIONS, SERVERS, Pair, generate
from tests.lib.tried import try_on

# Three very different servers, each behind every proxy.
PAIRS_TRIED = [Pair(server, proxy) for server in SERVERS[::3] for proxy in PROXIES]
# For tests where the proxy makes no difference: each of these servers once.
EACH_SERVER = [
    Pair(server, PROXIES[number % len(PROXIES)]) for number, server in enumerate(SERVERS[::3])
]
# Servers whose signal for a graceful shutdown is not SIGTERM, the signal that platforms send.
BY_ANOTHER_SIGNAL = [
    Pair(server, PROXIES[0])
    for server in SERVERS
    if FACTS["_servers"][server]["stop_signal"] != "SIGTERM"
]
PACKAGE = "probed"
# The test views that are added to the application.
PROBE = Path(__file__).parents[1] / "pairs" / "probe"

# Show the values in this module's failed assertions, as pytest does for test modules.
pytest.register_assert_rewrite("tests.hosting.contract")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    try_on(metafunc, PAIRS_TRIED)


@dataclass(frozen=True)
class Built:
    """A project with deploy_to=all, and the two images that its compose.yaml builds."""

    pair: Pair
    project: Path
    app: str
    proxy: str

    @property
    def key(self) -> str:
        """The signing key: the first line of its file."""
        file = self.project / "secrets" / "secret_key"
        return file.read_text(encoding="utf-8").splitlines()[0]


@pytest.fixture(scope="session")
def docker_client(engine: None) -> docker.DockerClient:
    return docker.from_env()


@pytest.fixture(scope="session")
def built(engine: None, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The pair's project and images, which are removed at the end."""
    # Two runs on one engine must not remove each other's images.
    slug = f"hosted-{pair}-{os.getpid()}".replace("_", "-")
    project = generate(
        tmp_path_factory.mktemp(str(pair)),
        project_slug=slug,
        package_name=PACKAGE,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        python_version=PYTHON_VERSIONS[PROXIES.index(pair.proxy) % len(PYTHON_VERSIONS)],
        deploy_to="all",
    )
    # The second line is a previous key, as after a key rotation.
    with (project / "secrets" / "secret_key").open("a", encoding="utf-8") as file:
        file.write("a-former-key\n")
    run(["docker", "compose", "build"], cwd=project)
    yield Built(pair, project, app=f"{slug}-app", proxy=f"{slug}-proxy")
    run(["docker", "compose", "down", "--rmi", "local"], cwd=project)
