"""Networks with IPv6, alone or with IPv4, work like those with IPv4."""

import json
from collections.abc import Iterator

import pytest

from tests.lib.stack import Stack

pytestmark = pytest.mark.destructive

NETWORKS = {
    "ipv6": {"PROBE_IPV4": "false", "PROBE_IPV6": "true"},
    "both": {"PROBE_IPV4": "true", "PROBE_IPV6": "true"},
}

# Runs in the application's container and sends requests to the proxy, like any client in the
# network. It repeats them, because the proxy may choose between two addresses of the application.
SCRIPT = """
import json, sys, urllib.request
for host in sys.argv[1:]:
    for _ in range(4):
        with urllib.request.urlopen(f"http://{host}:8080/probe/request", timeout=5) as response:
            print(response.read().decode().replace("\\n", ""))
"""


START = "up --wait --wait-timeout 60 --no-build"


@pytest.fixture(scope="module")
def unplugged(stack: Stack) -> Iterator[Stack]:
    """Provide the stack; restore its own network afterwards."""
    yield stack
    stack.compose("down --timeout 5")
    stack.compose(START)


@pytest.fixture(scope="module")
def network(request: pytest.FixtureRequest, unplugged: Stack) -> str:
    """Start the stack in a network with these IP versions; fail if it is not healthy there."""
    unplugged.compose("down --timeout 5")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in NETWORKS[request.param].items():
            environ.setenv(name, value)
        unplugged.compose(START)
    return request.param


def addresses(stack: Stack, service: str) -> list[str]:
    """Return a container's addresses, IPv4 first."""
    (network,) = stack.container(service).attrs["NetworkSettings"]["Networks"].values()
    found = [network["IPAddress"], network["GlobalIPv6Address"]]
    return [address for address in found if address]


@pytest.mark.parametrize("network", NETWORKS, indirect=True, scope="module")
def test_the_application_is_reachable_and_knows_the_client(stack: Stack, network: str):
    clients, proxies = addresses(stack, "app"), addresses(stack, "proxy")
    assert len(clients) == len(proxies) == {"ipv6": 1, "both": 2}[network]
    hosts = [f"[{address}]" if ":" in address else address for address in proxies]
    done = stack.container("app").exec_run(["python", "-c", SCRIPT, *hosts])
    assert done.exit_code == 0, done.output.decode()
    responses = [json.loads(line) for line in done.output.decode().splitlines()]
    expected = [address for address in clients for _ in range(4)]
    # IPv4 addresses are not mapped to IPv6.
    assert [told["address"] for told in responses] == expected
    assert [dict(told["headers"])["X-Forwarded-For"] for told in responses] == expected
