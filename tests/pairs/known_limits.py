"""What a server or a proxy cannot do: strict expected failures, each with its reason."""

import pytest

# (part of a pair's name, probe) → reason
LIMITS = {
    ("apache", "request in flight on a killed replica"): (
        "mod_proxy asks another replica only until it has sent the request; then it answers 502 "
        "(measured with httpd 2.4: for 2 of 6 requests, those of the killed replica)"
    ),
}


def expect_limit(request: pytest.FixtureRequest, pair: object, probe: str) -> None:
    """Expect this test to fail where the pair's server or proxy is known for it."""
    for (name, limited), reason in LIMITS.items():
        if limited == probe and name in str(pair).split("-"):
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
