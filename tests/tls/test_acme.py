"""A certificate from a certificate authority, with the commands of the project's README."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.lib.load import ask, load
from tests.lib.readme import run_readme
from tests.lib.stack import wait_until
from tests.lib.template import PROXIES
from tests.tls.conftest import PAIRS_TRIED
from tests.tls.https import HttpsStack
from tests.tls.test_https import is_served, reload, served

# Each proxy once: the application makes no difference.
PAIRS = PAIRS_TRIED[: len(PROXIES)]
NAME = "www.example.com"
# Settings that Certbot would prompt for, and no random delay, which only a real authority needs.
CLIENT = """
server = {}/dir
agree-tos = true
register-unsafely-without-email = true
no-random-sleep-on-renew = true
"""
BEFORE_ITS_TIME = "force-renewal = true\n"


@pytest.fixture
def settings(stack: HttpsStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Certbot's settings file, with the URL of the authority that runs with the stack."""
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(stack.container("authority").exec_run(["cat", "certificate.pem"]).output)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", stack.name)
    file = tmp_path / "letsencrypt" / "cli.ini"
    file.parent.mkdir()
    file.write_text(CLIENT.format(f"https://127.0.0.1:{stack.published(14000, 'authority')}"))
    return file


@pytest.fixture
def root(stack: HttpsStack, settings: Path) -> Path:
    """The authority's root certificate."""
    management = f"https://127.0.0.1:{stack.published(15000, 'authority')}"
    file = settings.with_name("root.pem")
    file.write_text(requests.get(f"{management}/roots/0", timeout=10).text)
    return file


@pytest.fixture
def public_url(stack: HttpsStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """The stack's URL with the public name, which resolves to this machine during the test."""
    look_up = socket.getaddrinfo

    def find(host: str, *arguments, **more) -> list:
        return look_up("127.0.0.1" if host == NAME else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    monkeypatch.setenv("NO_PROXY", NAME)
    return f"https://{NAME}:{stack.https_port}"


@pytest.fixture
def restored(stack: HttpsStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the previous certificate after the test."""
    folder = stack.certificate.parent
    files = ["fullchain.pem", "privkey.pem"]
    for file in files:
        shutil.copy(folder / file, tmp_path)
    yield
    for file in files:
        shutil.copy(tmp_path / file, folder)
    reload(stack, monkeypatch)
    # Several times in a row: an old process accepts connections until it gets the reload signal.
    wait_until(lambda: all(is_served(stack, stack.certificate) for _ in range(20)), timeout=10)


@pytest.mark.usefixtures("restored")
def test_a_certificate_is_obtained_and_renewed_without_losing_a_request(
    stack: HttpsStack,
    settings: Path,
    root: Path,
    public_url: str,
    record_property: Callable[[str, object], None],
):
    run_readme(stack.folder, "certbot certonly")
    trusted = {"verify": str(root)}

    def obtained() -> bool:
        # Several times in a row: for a moment, an old process accepts connections as well.
        return all(ask(f"{public_url}/", **trusted).status == 200 for _ in range(20))

    wait_until(obtained, timeout=10)
    first = served(stack)
    with settings.open("a") as file:
        file.write(BEFORE_ITS_TIME)
    with load(f"{public_url}/probe/work/0.01/", pause=0, **trusted) as running:
        wait_until(lambda: running.count(200) > 50, timeout=20)
        run_readme(stack.folder, "certbot renew")
        wait_until(lambda: served(stack) != first, timeout=10)
        after = running.count(200)
        wait_until(lambda: running.count(200) > after + 50, timeout=20)
    assert is_served(stack, stack.certificate)
    lost = [outcome for outcome in running.outcomes if outcome.status != 200 or outcome.cut]
    record_property("certificate_renewal_sent", len(running.outcomes))
    record_property("certificate_renewal_failed", len(lost))
    assert lost == []
