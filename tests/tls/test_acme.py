"""Certificates from an authority, with compose.acme.yaml and the commands of the project's page."""

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from cryptography import x509
from pytest_docker.plugin import get_docker_services

from tests import engine
from tests.lib.load import ask, load
from tests.lib.readme import blocks, commands, run_shell
from tests.lib.stack import Stack, wait_until
from tests.lib.template import EXPECTATIONS, FACTS, PROXIES, Pair, generate
from tests.tls.authority import MANAGEMENT, URL, VALIDITY, write_authority
from tests.tls.conftest import PAIRS_TRIED

# Each proxy once: the application makes no difference.
PAIRS = PAIRS_TRIED[: len(PROXIES)]
NAMES = ["www.example.com", "shop.example.com"]
HEADING = "A certificate from Let's Encrypt"


@dataclass
class AcmeStack(Stack):
    """A pair with compose.acme.yaml and an authority."""

    overlay: Path | None = None
    # The service that obtains the certificate, and how it is told to renew it before the time.
    client: str = ""

    @property
    def https_port(self) -> int:
        """The port of this machine that serves HTTPS."""
        return self.published(8443)

    def root(self) -> str:
        """Return the authority's root certificate."""
        management = f"https://127.0.0.1:{self.published(MANAGEMENT, 'authority')}"
        trusted = str(self.overlay.with_name("ca.pem"))
        return requests.get(f"{management}/roots/0", timeout=10, verify=trusted).text

    def served(self) -> x509.Certificate:
        """Return the certificate that is served now; raises OSError if there is none."""
        text = ssl.get_server_certificate(("127.0.0.1", self.https_port))
        return x509.load_pem_x509_certificate(text.encode())

    def is_certified(self) -> bool:
        """Return whether the authority's certificate is served, several times in a row.

        For a moment, an old process accepts connections too.
        """
        try:
            return all("Pebble" in self.served().issuer.rfc4514_string() for _ in range(20))
        except OSError:
            return False

    def log(self) -> str:
        """Return the log of the ACME client."""
        return self.container(self.client).logs().decode()


@pytest.fixture(scope="session")
def acme_project(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair's project, with the two settings of its page."""
    project = generate(
        tmp_path_factory.mktemp(f"acme-{pair}"),
        project_slug=f"acme-{pair}".replace("_", "-"),
        wsgi_server=pair.server,
        proxy=pair.proxy,
    )
    (settings,) = blocks(project / "docs" / "production.md", "dotenv", HEADING)
    assert len(settings.splitlines()) == 2
    (project / ".env").write_text(settings.replace(NAMES[0], ",".join(NAMES)))
    return project


@contextmanager
def defined(pair: Pair, project: Path, folder: Path, names: list[str]) -> Iterator[AcmeStack]:
    """Yield the pair with an authority that knows these names; nothing is started."""
    if image := FACTS["_proxies"][pair.proxy]["acme_image"]:
        engine.ensure([image])
    overlay = write_authority(folder, pair, project, names)
    name = f"{project.name}-{folder.name}-{os.getpid()}"
    files = [project / "compose.yaml", project / "compose.acme.yaml", overlay]
    os.environ["TLS_AUTHORITY"] = URL
    with get_docker_services(
        "docker compose",
        [str(file) for file in files],
        name,
        docker_setup=[],
        docker_cleanup=["down --volumes --remove-orphans --rmi local --timeout 5"],
    ) as services:
        client = FACTS["_proxies"][pair.proxy]["acme_client"]
        yield AcmeStack(pair, project, name, services, overlay=overlay, client=client)


def page_command(stack: AcmeStack, number: int) -> str:
    """Run a command of the project's page, on this stack with its authority; return its output."""
    page = stack.folder / "docs" / "production.md"
    written = commands(page, "A certificate from Let's Encrypt")
    command = [line for line in written.splitlines() if line][number]
    # The files that the command names, or those of COMPOSE_FILE.
    files = f"-f compose.yaml -f compose.acme.yaml -f {stack.overlay}"
    command = command.replace(" -f compose.yaml -f compose.acme.yaml", "")
    text = command.replace("docker compose", f"docker compose -p {stack.name} {files}")
    try:
        return run_shell(text, stack.folder)
    finally:
        stack.ports.clear()


@pytest.fixture(scope="session")
def stack(
    engine: None, pair: Pair, acme_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AcmeStack]:
    """The pair with its certificate, started by the command of its page."""
    folder = tmp_path_factory.mktemp(f"authority-{pair}") / "first"
    with defined(pair, acme_project, folder, NAMES) as stack:
        stack.compose("up --build --wait authority")
        try:
            page_command(stack, 0)
            wait_until(stack.is_certified, timeout=15)
        except AssertionError as error:
            raise RuntimeError(f"{error}\n{stack.evidence()}\n{stack.log()}") from error
        yield stack


@pytest.fixture
def started_later(
    engine: None, pair: Pair, acme_project: Path, tmp_path: Path
) -> Iterator[AcmeStack]:
    """The pair, not started."""
    with defined(pair, acme_project, tmp_path / "later", NAMES) as stack:
        yield stack


@pytest.fixture
def public(stack: AcmeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The public names resolve to this machine. Returns the arguments of ask() that trust them."""
    look_up = socket.getaddrinfo

    def find(host: str, *arguments, **more) -> list:
        return look_up("127.0.0.1" if host in NAMES else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    file = tmp_path / "root.pem"
    file.write_text(stack.root())
    return {"verify": str(file)}


def test_from_two_settings_and_one_command(stack: AcmeStack, public: dict[str, str]):
    """Both names have the authority's certificate, and HTTP is redirected."""
    for name in NAMES:
        outcome = ask(f"https://{name}:{stack.https_port}/", **public)
        assert outcome.status == 200, outcome.text
        redirected = requests.get(
            f"{stack.url}/", headers={"Host": name}, allow_redirects=False, timeout=10
        )
        assert redirected.status_code == 308
        assert redirected.headers["Location"].startswith(f"https://{name}:")
    assert stack.get("/health/proxy").text == "ok\n"


def test_the_private_key_stays_with_its_user(stack: AcmeStack):
    """No other user of the volume can read it."""
    found = stack.container("proxy").exec_run(
        ["find", "/run/tls", "-name", "privkey*", "-type", "f", "-perm", "/077"]
    )
    assert found.exit_code == 0, found.output
    assert found.output == b""


def test_new_containers_keep_the_certificate(stack: AcmeStack):
    """The authority is not needed for that."""
    before = stack.served()
    # Stopped, it would lose the account.
    stack.compose("pause authority")
    try:
        stack.compose("up --force-recreate --no-deps --wait proxy")
        wait_until(stack.is_certified, timeout=15, told=stack.log)
        assert stack.served() == before
        stack.wait_for_upstream()
    finally:
        stack.compose("unpause authority")


@contextmanager
def renewed_early(stack: AcmeStack) -> Iterator[list[str]]:
    """Let a certificate be renewed long before it expires; yield the command for the client."""
    renewal = EXPECTATIONS["_proxies"][stack.pair.proxy]["renewal"]
    if not renewal["configuration"]:
        yield renewal["command"]
        return
    # In place, because the container has this file and not its folder.
    copy = stack.overlay.with_name(Path(renewal["configuration"]).name)
    original = copy.read_text()
    copy.write_text(original + renewal["early"] + "\n")
    yield renewal["command"]
    copy.write_text(original)


def test_a_certificate_is_renewed_without_losing_a_request(
    stack: AcmeStack,
    public: dict[str, str],
    record_property: Callable[[str, object], None],
):
    first = stack.served()
    # Early renewal: after a hundredth of the validity.
    due = first.not_valid_before_utc.timestamp() + VALIDITY / 100
    url = f"https://{NAMES[0]}:{stack.https_port}/?"
    with (
        renewed_early(stack) as command,
        load(url, pause=0.002, most=20_000, **public) as running,
    ):
        wait_until(lambda: time.time() > due + 1 and running.count(200) > 50, timeout=30)
        done = stack.container(stack.client).exec_run(command)
        assert done.exit_code == 0, done.output
        wait_until(lambda: stack.served() != first, timeout=30, told=stack.log)
        after = running.count(200)
        wait_until(lambda: running.count(200) > after + 200, timeout=30)
    assert stack.is_certified()
    record_property("certificates_issued", 1)
    record_property("certificates_renewed", 1)
    lost = [outcome for outcome in running.outcomes if outcome.status != 200 or outcome.cut]
    record_property("certificate_renewal_sent", len(running.outcomes))
    record_property("certificate_renewal_failed", len(lost))
    assert lost == []
    assert stack.served().not_valid_after_utc > datetime.now(UTC)


def test_authority_that_cannot_be_reached(started_later: AcmeStack):
    """The log says so, HTTP works, and there is a certificate when the authority is there again."""
    stack = started_later
    stack.compose(f"up --build --detach proxy {stack.client}")
    wait_until(
        lambda: re.search(
            r"(?i)contacting .*//authority|'authority'.* resolve", page_command(stack, 1)
        ),
        timeout=60,
        told=stack.evidence,
    )
    assert stack.get("/health/proxy").text == "ok\n"
    assert not stack.is_certified()
    stack.compose("up --build --wait authority")
    page_command(stack, 2)
    # A client may wait for half a minute after its first error.
    wait_until(stack.is_certified, timeout=90, told=stack.log)


def test_name_of_another_machine(started_later: AcmeStack, monkeypatch: pytest.MonkeyPatch):
    """The log names it; there is no certificate, and HTTP works."""
    stack = started_later
    # The authority itself has this name, and no web server.
    monkeypatch.setenv("TLS_DOMAIN", "authority")
    stack.compose("up --build --wait authority app")
    stack.compose(f"up --build --detach proxy {stack.client}")
    wait_until(
        lambda: re.search(r"(?i)authority.*(?:connection|refused|invalid)", stack.log(), re.S),
        timeout=60,
        told=stack.evidence,
    )
    assert stack.get("/health/proxy").text == "ok\n"
    assert not stack.is_certified()


@pytest.mark.parametrize("missing", ["TLS_DOMAIN", "TLS_CONTACT"])
def test_missing_setting(pair: Pair, acme_project: Path, tmp_path: Path, missing: str):
    """Compose refuses to start, and says what to set."""
    lines = (acme_project / ".env").read_text().splitlines(keepends=True)
    settings = tmp_path / "settings"
    settings.write_text("".join(line for line in lines if not line.startswith(missing)))
    files = ["-f", "compose.yaml", "-f", "compose.acme.yaml", "--env-file", settings]
    done = subprocess.run(
        ["docker", "compose", *files, "config"],
        cwd=acme_project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"Set {missing} in .env" in done.stderr
