"""HTTPS: protocols, certificates, and the redirect from HTTP."""

import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.lib.load import ask, load
from tests.lib.raw_http import Raw, exchange
from tests.lib.readme import commands
from tests.lib.stack import run, wait_until
from tests.lib.template import ROOT
from tests.pairs.request_recorder import assert_security_headers, configured, request
from tests.pairs.test_streaming import assert_each_event_arrives
from tests.tls.conftest import make_certificate
from tests.tls.https import HttpsStack

SCANNER = ROOT / "tests" / "tls" / "scanner.txt"


def scan(*arguments: str | Path) -> str:
    """Run the scanner, in a separate environment; return its output."""
    uv = Path(sys.executable).with_name("uv")
    environment = ["--quiet", "--isolated", "--no-project", "--with-requirements", SCANNER]
    done = subprocess.run(
        [uv, "run", *environment, "sslyze", *arguments], capture_output=True, text=True, check=False
    )
    assert "SCANS COMPLETED" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_protocols_and_ciphers_follow_mozillas_recommendation(stack: HttpsStack):
    found = scan("--mozilla_config=intermediate", f"127.0.0.1:{stack.https_port}")
    for protocol in ("SSL 2.0", "SSL 3.0", "TLS 1.0", "TLS 1.1"):
        (refused,) = re.findall(rf"\* {protocol} Cipher Suites:\n(.*\n.*\n)", found)
        assert "rejected all cipher suites" in refused, refused
    _, _, verdict = found.partition("COMPLIANCE")
    complaints = re.findall(r"^ +\* (\w+): .*$", verdict, re.MULTILINE)
    # The certificate is self-signed; OpenSSL accepts two curves that are stronger than recommended.
    assert complaints == ["certificate_path_validation", "tls_curves"]
    assert set(re.findall(r"'(\w+)'", verdict)) >= {"X448", "secp521r1"}


# --- HTTP ---


def over_http(stack: HttpsStack, line: str, *headers: str, host: str = "Host: shop.example"):
    data = request(*headers, "Connection: close", line=line, host=host)
    (reply,) = exchange(stack.published(8080), data).replies
    return reply


@pytest.mark.parametrize(
    ("line", "location"),
    [
        ("GET / HTTP/1.1", "https://shop.example:{port}/"),
        ("POST /a%2Fb%0D%0AX:c/../?d=%20&e HTTP/1.1", None),
        ("GET //evil.example/ HTTP/1.1", "https://shop.example:{port}//evil.example/"),
        ("GET /health/proxying HTTP/1.1", "https://shop.example:{port}/health/proxying"),
        (
            "GET http://shop.example/?a=http://b/ HTTP/1.1",
            "https://shop.example:{port}/?a=http://b/",
        ),
    ],
)
def test_http_leads_to_https(stack: HttpsStack, line: str, location: str | None):
    reply = over_http(stack, line)
    assert reply.status == 308
    sent = line.split()[1]
    expected = (location or "https://shop.example:{port}" + sent).format(port=0)
    assert reply.headers.get_all("Location") == [expected]
    # Browsers ignore this header over HTTP.
    assert "Strict-Transport-Security" not in reply.headers
    assert_security_headers(reply.headers, reply.body)


@pytest.mark.parametrize("line", ["CONNECT shop.example:443 HTTP/1.1", "OPTIONS * HTTP/1.1"])
def test_paths_above_the_root_do_not_reach_the_application(stack: HttpsStack, line: str):
    reply = over_http(stack, line)
    assert reply.status in (200, 400, 405)
    assert "X-Probe-Path" not in reply.headers


def test_the_proxys_health_needs_no_tls(stack: HttpsStack):
    assert over_http(stack, "GET /health/proxy HTTP/1.1").body == b"ok\n"


def test_a_certificate_authority_finds_the_response_to_its_challenge(stack: HttpsStack):
    folder = stack.certificate.parent / "webroot" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("response")
    path = "/.well-known/acme-challenge"
    reply = over_http(stack, f"GET {path}/token HTTP/1.1")
    assert (reply.status, reply.body) == (200, b"response")
    for other in ("other", "", "../../../privkey.pem", "%2e%2e/%2e%2e/%2e%2e/privkey.pem"):
        reply = over_http(stack, f"GET {path}/{other} HTTP/1.1")
        assert reply.status in (308, 400, 403, 404)
        assert b"KEY" not in reply.body


def test_trace_headers_of_clients_do_not_reach_the_application(stack: HttpsStack):
    spoofed = dict.fromkeys(["traceparent", "tracestate", "baggage"], "evil")
    told = stack.get("/probe/request", headers=spoofed).json()
    assert "evil" not in dict(told["headers"]).values()


@pytest.mark.parametrize("query", ["", f"?length={5 * len('data: 0' + 2 * chr(10))}"])
def test_streamed_responses_are_not_held_back(stack: HttpsStack, query: str):
    assert_each_event_arrives(stack, query)


def test_strict_transport_security_can_be_turned_off(stack: HttpsStack):
    """The setting also applies to the proxy's own responses, not only to the application's."""
    with configured(stack, HSTS_MAX_AGE="0"):
        for path in ("/static/style.css", "/static/nothing"):
            assert "Strict-Transport-Security" not in stack.get(path).headers


# --- The certificate ---


@pytest.fixture
def next_certificate(project: Path, tmp_path: Path) -> Path:
    """Another certificate and its key, in a folder."""
    (tmp_path / "secrets").mkdir()
    make_certificate(project, tmp_path)
    return tmp_path / "secrets" / "tls"


def reload(stack: HttpsStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reload the certificate with the README's command."""
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", stack.name)
    page = stack.folder / "docs" / "production.md"
    command = commands(page, "Your own certificate").splitlines()[-1]
    run(["bash", "-c", command], cwd=stack.folder)


def served(stack: HttpsStack) -> str:
    """Return the certificate that is served now."""
    return ssl.get_server_certificate(("127.0.0.1", stack.https_port))


def is_served(stack: HttpsStack, certificate: Path) -> bool:
    """Return whether the file's first certificate is served; its issuers' follow in the file."""
    first, inside = ("".join(text.split()) for text in (served(stack), certificate.read_text()))
    return inside.startswith(first)


def test_a_certificate_is_reloaded_without_losing_a_request(
    stack: HttpsStack,
    next_certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    tmp_path: Path,
):
    """Requests that began before the reload succeed too, in every process of the proxy."""
    both = tmp_path / "both.pem"
    both.write_text(
        stack.certificate.read_text() + (next_certificate / "fullchain.pem").read_text()
    )
    trusted = {"verify": str(both)}
    begun = [Raw(stack) for _ in range(16)]
    for client in begun:
        client.send(b"GET /probe/bytes/10 HTTP/1.1\r\nHost: localhost\r\n")
    with (
        ThreadPoolExecutor() as pool,
        load(f"{stack.url}/probe/work/0.01/", pause=0, **trusted) as running,
    ):
        long = pool.submit(ask, f"{stack.url}/probe/drip/4.0/{uuid4().hex}", **trusted)
        wait_until(lambda: running.count(200) > 50, timeout=20)
        for file in ("fullchain.pem", "privkey.pem"):
            shutil.copy(next_certificate / file, stack.certificate.parent)
        reload(stack, monkeypatch)
        wait_until(lambda: is_served(stack, stack.certificate), timeout=10)
        after = running.count(200)
        wait_until(lambda: running.count(200) > after + 100, timeout=20)
    for client in begun:
        with client:
            client.send(b"Connection: close\r\n\r\n")
            assert client.response().status == 200
    outcomes = [*running.outcomes, long.result()]
    lost = [outcome for outcome in outcomes if outcome.status != 200 or outcome.cut]
    record_property("certificate_reload_sent", len(outcomes))
    record_property("certificate_reload_failed", len(lost))
    assert lost == []


def test_a_key_of_another_certificate_changes_nothing(
    stack: HttpsStack, next_certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    key = stack.certificate.with_name("privkey.pem")
    right = key.read_text()
    shutil.copy(next_certificate / "privkey.pem", key)
    try:
        with pytest.raises(AssertionError, match="key"):
            reload(stack, monkeypatch)
        assert is_served(stack, stack.certificate)
    finally:
        key.write_text(right)
    assert stack.get("/").status_code == 200


# --- Not in production ---


def test_production_has_no_debugger(stack: HttpsStack):
    response = stack.get("/probe/fail")
    assert response.status_code == 500
    assert "debugger" not in response.text.lower()
    assert "Traceback" not in response.text
    style = stack.get("/", params={"__debugger__": "yes", "cmd": "resource", "f": "style.css"})
    assert style.headers["Content-Type"] == "text/html; charset=utf-8"
    assert stack.get("/console").status_code == 404
    found = stack.container("app").exec_run(["python", "-c", "import watchdog"])
    assert b"No module named 'watchdog'" in found.output
