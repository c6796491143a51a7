"""A certificate authority, Pebble, in the network of a stack that uses compose.acme.yaml."""

import json
from pathlib import Path

import trustme

from tests.lib.template import EXPECTATIONS, FACTS, PYTHON_VERSIONS, Pair, base_images

# Seconds for which its certificates are valid.
VALIDITY = 600
# The address of its API, in the stack's network.
URL = "https://authority:14000/dir"
# The ports of its API and of its management, which has the root certificate.
API, MANAGEMENT = 14000, 15000
LISTENING = (
    f"for port in {API} {MANAGEMENT}; do"
    ' openssl s_client -connect "127.0.0.1:$$port" </dev/null >/dev/null 2>&1 || exit 1; done'
)


def write_authority(folder: Path, pair: Pair, project: Path, names: list[str]) -> Path:
    """Write the authority's files into ``folder``; return a compose file that adds it to the pair.

    It finds the proxy by these names, and the pair's ACME client trusts its API.
    """
    folder.mkdir(mode=0o755)
    own = trustme.CA()
    api = own.issue_cert("authority", "127.0.0.1")
    own.cert_pem.write_to_path(folder / "ca.pem")
    api.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    api.private_key_pem.write_to_path(folder / "key.pem")
    configuration = {
        "listenAddress": f"0.0.0.0:{API}",
        "managementListenAddress": f"0.0.0.0:{MANAGEMENT}",
        "certificate": "/authority/certificate.pem",
        "privateKey": "/authority/key.pem",
        "httpPort": 8080,
        # For versions with and without profiles.
        "certificateValidityPeriod": VALIDITY,
        "profiles": {"default": {"description": "", "validityPeriod": VALIDITY}},
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
    for file in folder.iterdir():
        file.chmod(0o644)
    (base,) = base_images(PYTHON_VERSIONS[:1], [])
    services = {
        "authority": {
            "build": {"context": str(Path(__file__).parent), "args": {"PYTHON_IMAGE": base}},
            "volumes": [f"{folder}:/authority:ro"],
            "ports": [f"127.0.0.1::{MANAGEMENT}"],
            # The engine accepts connections before the authority listens, so the check uses TLS.
            "healthcheck": {
                "test": ["CMD-SHELL", LISTENING],
                "start_period": "20s",
                "start_interval": "0.2s",
                "interval": "1m",
            },
        },
        "proxy": {"networks": {"default": {"aliases": names}}},
    }
    client = services.setdefault(FACTS["_proxies"][pair.proxy]["acme_client"], {})
    client["environment"] = {"REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}
    client["volumes"] = [f"{folder / 'ca.pem'}:/etc/ssl/certs/ca-certificates.crt:ro"]
    # A copy of the client's configuration, which a test changes. The client does not ask this
    # authority when to renew: for certificates of minutes, it says "now" (Pebble 2.6).
    renewal = EXPECTATIONS["_proxies"][pair.proxy]["renewal"]
    if inside := renewal["configuration"]:
        copy = folder / Path(inside).name
        original = project.joinpath("proxy", inside.lstrip("/")).read_text()
        copy.write_text(original + renewal["unadvised"] + "\n")
        client["volumes"].append(f"{copy}:{inside}:ro")
    overlay = folder / "compose.authority.json"
    overlay.write_text(json.dumps({"services": services}))
    return overlay
