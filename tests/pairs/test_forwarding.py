"""What the application believes of its client: what the proxy saw, and nothing that was claimed."""

import json

import pytest

from tests.harness.stack import Stack, wait_until

CLAIMS = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=https;host=evil.example",
    "Proxy": "http://evil.example",
}


def address_in_the_proxys_log(stack: Stack, request_id: str) -> str:
    """Return the address that a request came from, as the proxy logged it."""

    def found() -> str | None:
        lines = stack.container("proxy").logs(tail=200).decode().splitlines()
        entries = [json.loads(line) for line in lines if request_id in line]
        return entries[0]["client"] if entries else None

    return wait_until(found, timeout=5)


def seen(stack: Stack, **headers: str) -> dict:
    """Ask what the application sees, check it against the proxy's log, and return it."""
    answer = stack.get("/probe/request", headers=headers)
    assert answer.status_code == 200
    told = answer.json()
    assert told["address"] == address_in_the_proxys_log(stack, answer.headers["X-Request-ID"])
    return told


def test_client_scheme_and_host_are_the_clients(stack: Stack):
    told = seen(stack)
    network = stack.docker.networks.get(f"{stack.name}_default")
    assert told["address"] == network.attrs["IPAM"]["Config"][0]["Gateway"]
    assert told["scheme"] == "http"
    assert told["host"] == f"127.0.0.1:{stack.port}"
    assert told["root"] == f"{stack.url}/"


def test_host_name_and_port_arrive_as_sent(stack: Stack):
    assert seen(stack, Host="service.example:8443")["root"] == "http://service.example:8443/"


@pytest.mark.parametrize(
    "claims", [CLAIMS, *({name: CLAIMS[name]} for name in CLAIMS)], ids="+".join
)
def test_claims_about_the_client_are_ignored(stack: Stack, claims: dict[str, str]):
    told, plain = seen(stack, **claims), seen(stack)
    assert {**told, "headers": None} == {**plain, "headers": None}
    for name, value in told["headers"]:
        assert "evil" not in value, name
        assert "6.6.6.6" not in value, name
