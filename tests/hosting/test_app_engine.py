"""Google App Engine: files read by Google's parser; the deployment of its page, emulated.

Emulated: nothing here ran on App Engine.
https://docs.cloud.google.com/appengine/docs/standard/python3/runtime
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import docker
import pytest
import yaml
from docker.models.containers import Container

from tests.lib.stack import run, wait_until
from tests.lib.template import FACTS, SERVERS, generate

from . import contract, gvisor
from .balancer import APPENDS, APPENDS_AND_ADDS_ITSELF, balancer
from .conftest import BY_ANOTHER_SIGNAL, EACH_SERVER, PACKAGE, Built
from .page import Followed, follow
from .runtime import (
    add_probe,
    container,
    install,
    network,
    probe_views,
    stop_in_the_midst,
)

# Google's parser needs older packages than the tests do, so it runs in a separate environment.
PARSER = ("appengine-python-standard==3.1.0", "setuptools<81")
PARSE = """
import json, sys
from google.appengine.api import appinfo
def problem(text):
    try:
        appinfo.LoadSingleAppInfo(text)
    except Exception as error:
        return str(error)
json.dump([problem(text) for text in json.load(sys.stdin)], sys.stdout)
"""

# Values that the parser does not check: the instance classes, with their memory in megabytes, and
# the names of runtimes. https://docs.cloud.google.com/appengine/docs/standard
MEMORY = {"F1": 384, "F2": 768, "F4": 1536, "F4_1G": 3072}
RUNTIMES = ("python313", "python314", "custom")

# The trusted host names: those that the tests request.
HOSTS = "service.example,127.0.0.1"
# Emulated output of gcloud; "$here" is a folder for the test. A deployment sends app.yaml's folder.
COMMAND_OUTPUT = {
    "gcloud": {
        "*' config get project '*": "echo my-project",
        "*' versions access latest '*": 'cat "$here/stdin-secrets-create"',
        "*' app describe '*": f"echo {HOSTS}",
        "*' --image-url '*": 'cp -r "$(dirname "${!#}")" "$here/flexible"',
        "*' app deploy '*": 'cp -r "$(dirname "${!#}")" "$here/standard"',
    }
}


def problems(*texts: str) -> list[list[str]]:
    """Return the errors in each of the files, which are given as text."""
    packages = [word for package in PARSER for word in ("--with", package)]
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "run", "--no-project", "--python", sys.executable, *packages, "python", "-c", PARSE],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        ([parsed] if parsed else []) + unknown_values(yaml.safe_load(text))
        for text, parsed in zip(texts, json.loads(done.stdout), strict=True)
    ]


def unknown_values(document: dict[str, Any]) -> list[str]:
    """Return the values that the parser accepts but App Engine would reject."""
    found = []
    if document.get("runtime") not in RUNTIMES:
        found.append(f"runtime: {document.get('runtime')}")
    if document.get("instance_class", "F1") not in MEMORY:
        found.append(f"instance_class: {document['instance_class']}")
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both app.yaml files, by the names of their folders."""
    project = generate(tmp_path_factory.mktemp("app-engine"), deploy_to="app-engine")
    return {
        kind: (project / "deploy" / "app-engine" / kind / "app.yaml").read_text(encoding="utf-8")
        for kind in ("python", "docker")
    }


def test_googles_parser_accepts_every_key(texts: dict[str, str]):
    assert problems(*texts.values()) == [[], []]


def test_mistakes_are_detected(texts: dict[str, str]):
    mistakes = [
        ("python", "entrypoint:", "entry_point:"),
        ("python", "static_dir:", "staticdir:"),
        ("python", "max_instances:", "maximum_instances:"),
        ("python", "secure: always", "secure: sometimes"),
        ("python", "runtime: python", "runtime: pyhton"),
        ("python", "instance_class: F1", "instance_class: F9"),
        ("docker", "readiness_check:", "readyness_check:"),
        ("docker", "  path: /health/live", "  paths: /health/live"),
        ("docker", "memory_gb: 1.0", "memory_gb: much"),
        ("docker", "env_variables:", "env_variable:"),
    ]
    assert all(right in texts[kind] for kind, right, _ in mistakes)
    found = problems(*(texts[kind].replace(right, wrong) for kind, right, wrong in mistakes))
    assert [mistake for mistake, seen in zip(mistakes, found, strict=True) if not seen] == []


@pytest.mark.parametrize("server", SERVERS)
def test_the_standard_environment_is_offered_where_the_server_can_run_there(
    server: str, tmp_path: Path
):
    project = generate(tmp_path, wsgi_server=server, deploy_to="app-engine")
    folder = project / "deploy" / "app-engine"
    assert (folder / "docker" / "app.yaml").is_file()
    runs = not FACTS["_servers"][server]["without_image"]
    assert (folder / "python").exists() == runs
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert ("Deploy to the standard" in page) == runs
    assert ("needs an image" in page) != runs


@pytest.fixture(scope="module")
def followed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """The result of the page's commands, run with a stand-in for gcloud."""
    programs = tmp_path_factory.mktemp("followed") / "programs"
    page = built.project / "deploy" / "app-engine" / "README.md"
    found = follow(page, built.project, programs, COMMAND_OUTPUT)
    yield found
    (tag,) = found.calls_of("docker", "tag")
    run(["docker", "image", "rm", tag[-1]], cwd=built.project)


def environment(document: dict[str, Any], built: Built) -> dict[str, str]:
    """Return the variables of a deployed app.yaml, which include the stored key."""
    found = document["env_variables"]
    assert found["SECRET_KEY"] == built.key
    assert found["TRUSTED_HOSTS"] == HOSTS
    return found


def check(
    client: docker.DockerClient,
    app: Container,
    port: str,
    inside: str,
    server: str,
    ready: str,
    forwarded_for: str,
    static: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Check the service behind Google's front end, which serves ``static``, and its shutdown."""

    def log() -> str:
        return app.logs().decode()

    def stop() -> list[int]:
        app.kill("SIGTERM")
        return [app.wait(timeout=30)["StatusCode"]]

    app.reload()
    upstream = f"{app.attrs['NetworkSettings']['Networks'][inside]['IPAddress']}:{port}"
    with balancer(client, upstream, forwarded_for, network=inside, static=static) as url:
        wait_until(lambda: contract.get(url + ready).status_code == 200, timeout=30, told=log)
        contract.check_application_alone(url, drops=contract.drops_spellings(server))
        # The front end's own responses do not have the probe's header.
        style = contract.get(f"{url}/static/style.css")
        assert ("X-Probe-Path" in style.headers) == (not static)
        stop_in_the_midst(url, log, stop, seconds=2.5)


@pytest.mark.pairs(EACH_SERVER)
def test_the_page_leaves_no_key_behind(built: Built, followed: Followed):
    assert not (built.project / "deploy" / "app-engine" / "bundle").exists()
    files = [path for path in (followed.folder / "standard").rglob("*") if path.is_file()]
    assert not [path for path in files if "secrets" in path.parts]
    # The flexible environment gets only app.yaml and the name of a pushed image.
    assert [path.name for path in (followed.folder / "flexible").iterdir()] == ["app.yaml"]
    (deployed,) = [call for call in followed.calls if "--image-url" in call]
    pushed = followed.calls_of("docker", "push")[0][-1]
    assert deployed[deployed.index("--image-url") + 1] == pushed
    assert followed.calls_of("docker", "tag") == [["docker", "tag", built.app, pushed]]


@pytest.fixture(scope="module")
def runtime(built: Built, followed: Followed) -> Iterator[str]:
    """An image of the runtime's Python, with the requirements of the deployed folder."""
    bundle = followed.folder / "standard"
    tag = f"app-engine-{built.project.name}"
    document = yaml.safe_load((bundle / "app.yaml").read_text(encoding="utf-8"))
    major, *minor = document["runtime"].removeprefix("python")
    install(bundle, f"{major}.{''.join(minor)}", tag)
    yield tag
    run(["docker", "image", "rm", tag], cwd=built.project)


@pytest.mark.pairs(EACH_SERVER)
def test_the_standard_environment(
    docker_client: docker.DockerClient, built: Built, followed: Followed, runtime: str
):
    """The entry point works under gVisor, on a random port, with its class's memory.

    The balancer serves the static files from the deployed folder, as Google's servers do.
    """
    bundle = followed.folder / "standard"
    document = yaml.safe_load((bundle / "app.yaml").read_text(encoding="utf-8"))
    *static, rest = document["handlers"]
    assert (rest["url"], rest["script"]) == ("/.*", "auto")
    add_probe(bundle, PACKAGE)
    # The folder is private to its owner; the container's user must be able to read it.
    bundle.chmod(0o755)
    port = str(20_000 + secrets.randbelow(40_000))
    with (
        network(docker_client) as inside,
        gvisor.guest(
            docker_client,
            runtime,
            command=["bash", "-c", document["entrypoint"]],
            working_dir="/workspace",
            volumes={str(bundle): {"bind": "/workspace", "mode": "ro"}},
            environment=environment(document, built) | {"PORT": port},
            network=inside,
            mem_limit=f"{MEMORY[document['instance_class']]}m",
        ) as app,
    ):
        folders = {handler["url"]: bundle / handler["static_dir"] for handler in static}
        nobody_chooses_an_address(docker_client, app, port, inside)
        server = built.pair.server
        check(docker_client, app, port, inside, server, "/health/live", APPENDS, folders)


def nobody_chooses_an_address(
    client: docker.DockerClient, app: Container, port: str, inside: str
) -> None:
    """Check that clients cannot choose their address if the front end adds two addresses.

    It is not documented how many it adds. With two, the client's address is unknown.
    """
    app.reload()
    upstream = f"{app.attrs['NetworkSettings']['Networks'][inside]['IPAddress']}:{port}"
    with balancer(client, upstream, APPENDS_AND_ADDS_ITSELF, network=inside) as url:
        wait_until(lambda: contract.get(f"{url}/health/live").status_code == 200, timeout=30)
        for spoofed in ({}, contract.SPOOFED):
            headers = {"Host": "service.example"} | spoofed
            told = contract.get(f"{url}/probe/request", headers=headers).json()
            assert told["address"] == "198.51.100.1"
            assert told["root"] == "https://service.example/"


@pytest.mark.pairs([*EACH_SERVER, *BY_ANOTHER_SIGNAL])
def test_the_flexible_environment(
    docker_client: docker.DockerClient, built: Built, followed: Followed
):
    """The image works without a sidecar, and SIGTERM stops it, whatever its own stop signal."""
    document = yaml.safe_load((followed.folder / "flexible" / "app.yaml").read_text())
    with (
        network(docker_client) as inside,
        container(
            docker_client,
            built.app,
            network=inside,
            environment=environment(document, built),
            volumes=probe_views(PACKAGE),
            mem_limit=f"{int(document['resources']['memory_gb'] * 1024)}m",
        ) as app,
    ):
        ready = document["readiness_check"]["path"]
        server = built.pair.server
        host = HOSTS.split(",")[0]
        wait_until(lambda: over_http(app, ready, host)[0] == "200", timeout=30)
        assert over_http(app, "/probe/echo/a?b=%20", host) == [
            "308",
            f"https://{host}/probe/echo/a?b=%20",
        ]
        check(docker_client, app, "8080", inside, server, ready, APPENDS_AND_ADDS_ITSELF)


def over_http(app: Container, path: str, host: str) -> list[str]:
    """Request a path as Google's front end does for plain HTTP; return status and Location."""
    code = """
import http.client, sys
path, host = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", 8080)
addresses = "192.0.2.1, 198.51.100.1"
headers = {"Host": host, "X-Forwarded-For": addresses, "X-Forwarded-Proto": "http"}
connection.request("GET", path, headers=headers)
response = connection.getresponse()
print(response.status, response.headers["Location"])
"""
    _, output = app.exec_run(["python", "-c", code, path, host])
    return output.decode().split()
