"""Behind load balancers, the client address is the one that they send; clients cannot spoof it."""

import re
from collections.abc import Iterator

import pytest

from tests.lib.stack import Stack
from tests.pairs.request_recorder import configured, gateway, told

pytestmark = pytest.mark.destructive

CLIENT, BALANCER = "203.0.113.9", "198.51.100.1"


@pytest.fixture(scope="module")
def balanced(stack: Stack) -> Iterator[Stack]:
    """Run the stack behind a balancer and a proxy in front of it; each of them adds an address."""
    networks = f"192.0.2.0/24 2001:db8::/32 {gateway(stack)}/32"
    with configured(
        stack, TRUSTED_PROXY_COUNT="2", TRUSTED_NETWORKS=networks, TRUST_REQUEST_ID="on"
    ):
        yield stack


FACTS = f"X-Forwarded-For: {CLIENT}, {BALANCER}", "X-Forwarded-Proto: https"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([f"{CLIENT}, {BALANCER}"], CLIENT),
        ([f"{CLIENT},{BALANCER}"], CLIENT),
        ([f"6.6.6.6, {CLIENT}, {BALANCER}"], CLIENT),
        (["6.6.6.6", f"{CLIENT}, {BALANCER}"], CLIENT),
        ([f"{CLIENT}:51234, {BALANCER}:443"], CLIENT),
        ([f"2001:db8::9, {BALANCER}"], "2001:db8::9"),
        ([f"[2001:db8::9]:51234, {BALANCER}"], "2001:db8::9"),
        # Two proxies cannot have sent these values, so the client is the peer.
        ([CLIENT], None),
        ([], None),
        ([""], None),
        ([f"unknown, {BALANCER}"], None),
        ([f"6.6.6.6, unknown, {BALANCER}"], None),
        ([f"6.6.6.6 {CLIENT}x, {BALANCER}"], None),
    ],
    ids=str,
)
def test_client_is_the_one_named_by_the_balancer(
    balanced: Stack, lines: list[str], client: str | None
):
    seen, request_id = told(balanced, *(f"X-Forwarded-For: {line}" for line in lines))
    expected = client or gateway(balanced)
    assert seen["address"] == expected
    # The header has exactly one address, for code that reads it directly.
    assert [value for name, value in seen["headers"] if name == "X-Forwarded-For"] == [expected]
    (entry,) = balanced.logged("proxy", request_id)
    assert entry["client"] == expected


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        (["X-Forwarded-Proto: https"], "https"),
        (["X-Forwarded-Proto: http"], "http"),
        ([], "http"),
        (["X-Forwarded-Proto: evil"], "http"),
        (["X-Forwarded-Proto: https://evil"], "http"),
        (["X_Forwarded_Proto: https"], "http"),
        (["X-Forwarded_Proto: https", "X-Forwarded-Proto: http"], "http"),
    ],
    ids=str,
)
def test_scheme_named_by_the_balancer(balanced: Stack, headers: list[str], scheme: str):
    assert told(balanced, FACTS[0], *headers)[0]["scheme"] == scheme


@pytest.mark.parametrize("given", ["7f0c2a9e-41d7-4c35-9c11-4d1f0a0b3c55", "1_a.b@c"])
def test_request_id_of_the_balancer(balanced: Stack, given: str):
    """It is used in the response, in the application, and in both logs."""
    seen, request_id = told(balanced, *FACTS, f"X-Request-ID: {given}")
    assert request_id == dict(seen["headers"])["X-Request-Id"] == given
    assert balanced.logged("proxy", given)
    # The application logs a failed request.
    told_balancer = dict(fact.split(": ") for fact in FACTS)
    balanced.get("/probe/fail", headers=told_balancer | {"X-Request-ID": given})
    assert balanced.logged("app", given, last="exc_info")


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Request-ID: "],
        ["X-Request-ID: a b"],
        ['X-Request-ID: a","b'],
        ["X-Request-ID: \xe4"],
        ["X-Request-ID: " + "a" * 65],
        ["X-Request-ID: a", "X-Request-ID: b"],
        ["X_Request_ID: underscored"],
    ],
    ids=str,
)
def test_invalid_request_id_is_replaced(balanced: Stack, headers: list[str]):
    seen, request_id = told(balanced, *FACTS, *headers)
    given = [value for name, value in seen["headers"] if "request" in name.lower()]
    assert given == [request_id]
    assert re.fullmatch(r"[\w@-]{24,32}", request_id)


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Port: 6666",
        "X-Forwarded-Prefix: /evil",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6;host=evil.example",
        "X_Forwarded_For: 6.6.6.6, 6.6.6.6",
        "Connection: X-Forwarded-For, X-Forwarded-Proto",
    ],
)
def test_nothing_else_is_trusted(balanced: Stack, header: str):
    seen, _ = told(balanced, *FACTS, header)
    assert (seen["address"], seen["root"]) == (CLIENT, "https://localhost/")
    for name, value in seen["headers"]:
        assert "evil" not in value, name
        assert "6.6.6.6" not in value, name


@pytest.mark.parametrize("facts", [FACTS[1:], ("X-Forwarded-For: unknown", FACTS[1])], ids=str)
def test_nothing_is_trusted_without_an_address(balanced: Stack, facts: tuple[str, ...]):
    """No balancer forwarded such a request, so its other headers come from the client."""
    seen, request_id = told(
        balanced, *facts, "X-Forwarded-Prefix: /evil", "X-Request-ID: evil", "traceparent: evil"
    )
    assert (seen["address"], seen["root"]) == (gateway(balanced), "http://localhost/")
    assert request_id != "evil"
    assert "evil" not in str(seen["headers"])
