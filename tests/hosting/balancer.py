"""An emulated load balancer, which treats clients' headers as the platform's does."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import docker

from tests.lib.load import ask
from tests.lib.stack import wait_until
from tests.lib.template import FACTS

IMAGE = FACTS["_proxies"]["nginx"]["image"]

# What load balancers do with X-Forwarded-For, as nginx expressions. Where they keep the values that
# the client sent, those come first.
OVERWRITES = "$remote_addr"
APPENDS = "$proxy_add_x_forwarded_for"
APPENDS_AND_ADDS_ITSELF = "$proxy_add_x_forwarded_for, 198.51.100.1"
APPENDS_WITH_PORT = "$balancer_kept$remote_addr:$remote_port"

CONFIGURATION = """
pid /tmp/balancer.pid;
error_log /dev/stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    client_max_body_size 0;
    # As an Application Load Balancer does by default, it passes on names that are no usual ones.
    underscores_in_headers on;
    ignore_invalid_headers off;
    map $http_x_forwarded_for $balancer_kept {
        "" "";
        default "$http_x_forwarded_for, ";
    }
    server {
        listen 8000;
        LOCATIONS
        location / {
            proxy_pass http://UPSTREAM;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For "FORWARDED_FOR";
            # Clients reach it by HTTPS, which ends here.
            proxy_set_header X-Forwarded-Proto https;
            # It may authenticate users.
            proxy_set_header X-Auth-User real;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 70s;
            add_header X-Balancer-Client $remote_addr always;
        }
    }
}
"""

FOLDER = """
        location PATH { include /etc/nginx/mime.types; alias /foldersPATH; }
"""


@contextmanager
def balancer(
    client: docker.DockerClient,
    upstream: str,
    forwarded_for: str,
    *,
    network: str,
    static: Mapping[str, Path] = MappingProxyType({}),
    sockets: Path | None = None,
) -> Iterator[str]:
    """Run a balancer in a Docker network, in front of ``upstream``, a host and port in it.

    The balancer itself serves ``static``: local folders by URL path. With ``sockets``, the upstream
    is the name of a unix socket in that folder. Yields the balancer's URL on this machine. Its
    responses have the client address that it saw in X-Balancer-Client.
    """
    volumes = {str(path): {"bind": f"/folders{url}", "mode": "ro"} for url, path in static.items()}
    if sockets:
        volumes[str(sockets)] = {"bind": "/sockets", "mode": "rw"}
        upstream = f"unix:/sockets/{upstream}"
    text = CONFIGURATION.replace("UPSTREAM", upstream).replace("FORWARDED_FOR", forwarded_for)
    text = text.replace("LOCATIONS", "\n".join(FOLDER.replace("PATH", url) for url in static))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "balancer.conf"
        file.write_text(text, encoding="utf-8")
        container = client.containers.run(
            IMAGE,
            ["nginx", "-c", "/balancer.conf", "-g", "daemon off;"],
            entrypoint="",
            detach=True,
            network=network,
            ports={"8000/tcp": ("127.0.0.1", 0)},
            volumes=volumes | {str(file): {"bind": "/balancer.conf", "mode": "ro"}},
        )
        try:

            def port() -> str:
                container.reload()
                bindings = container.ports.get("8000/tcp")
                assert container.status != "exited", container.logs().decode()
                return bindings[0]["HostPort"] if bindings else ""

            url = f"http://127.0.0.1:{wait_until(port, timeout=10)}"
            # Docker listens on the port before the balancer does.
            wait_until(lambda: ask(f"{url}/health/live").status, timeout=10)
            yield url
        finally:
            container.remove(force=True)
