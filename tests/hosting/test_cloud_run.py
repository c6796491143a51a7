"""Google Cloud Run: files against the API's description; an emulated instance.

Emulated: nothing here ran on Cloud Run. https://cloud.google.com/run/docs/container-contract
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.lib.template import generate

from . import contract
from .balancer import APPENDS, OVERWRITES, balancer
from .conftest import BY_ANOTHER_SIGNAL, EACH_SERVER, PACKAGE, Built
from .instance import Instance, instance
from .page import Followed, follow
from .runtime import probe_views
from .schemas import cloud_run_service, problems

FILES = ("service.yaml", "app-only.yaml")
# Seconds from SIGTERM to SIGKILL.
GRACE = 10
# The trusted host names: those that the tests request, instead of the service's own.
HOSTS = "service.example,127.0.0.1"
DIGEST = "@sha256:" + "0" * 64
# Emulated output of gcloud; its other commands print nothing. Docker commands are only recorded:
# the images exist already, and there is no registry.
COMMAND_OUTPUT = {
    "docker": {},
    "gcloud": {
        "*' images describe '*": f'echo "${{5%:*}}{DIGEST}"',
        "*' revisions list '*": "echo newest; echo before",
        "*' projects describe '*": "echo 123456789",
    },
}


def environment(container: dict[str, Any], secrets: dict[str, str]) -> dict[str, str]:
    """Return the environment variables that Cloud Run gives to a container."""
    found = {}
    for variable in container["env"]:
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = secrets[f"{reference['name']}:{reference['key']}"]
    if "TRUSTED_HOSTS" in found:
        found["TRUSTED_HOSTS"] = HOSTS
    # Only the container that receives the requests gets PORT.
    for port in container.get("ports", []):
        found["PORT"] = str(port["containerPort"])
    return found


def in_order(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers in the order that their dependencies require."""
    annotations = spec["metadata"]["annotations"]
    waits = json.loads(annotations.get("run.googleapis.com/container-dependencies", "{}"))
    waiting = {container["name"]: container for container in spec["spec"]["containers"]}
    found = []
    while waiting:
        name = next(name for name in waiting if not set(waits.get(name, [])) & set(waiting))
        found.append(waiting.pop(name))
    return found


def wait_for_startup(running: Instance, probe: dict[str, Any]) -> None:
    """Wait until a startup probe succeeds. Fails when the probe would fail."""
    running.wait_for(
        probe["httpGet"]["port"],
        probe["httpGet"]["path"],
        seconds=probe["periodSeconds"] * probe["failureThreshold"],
    )


def launch(running: Instance, built: Built, template: dict[str, Any], key: str) -> None:
    """Start the containers of a revision as Cloud Run does."""
    images = {"app": built.app, "proxy": built.proxy}
    secrets = {f"{built.project.name}-secret-key:1": key}
    for container in in_order(template):
        name = container["name"]
        running.start(
            name,
            images[name],
            environment(container, secrets),
            memory=container["resources"]["limits"]["memory"].removesuffix("i"),
            volumes=probe_views(PACKAGE) if name == "app" else {},
        )
        wait_for_startup(running, container["startupProbe"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("cloud-run"), deploy_to="cloud-run")


@pytest.fixture(scope="module")
def document(project: Path) -> Callable[[str], dict[str, Any]]:
    """A function that reads one of the files."""
    return lambda name: yaml.safe_load((project / "deploy" / "cloud-run" / name).read_text())


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return cloud_run_service()


@pytest.mark.parametrize("name", FILES)
def test_the_api_accepts_every_key(document, schema, name: str):
    assert problems(document(name), schema) == []


def misspell(service: dict) -> None:
    container = service["spec"]["template"]["spec"]["containers"][0]
    container["startupProb"] = container.pop("startupProbe")


def mistype(service: dict) -> None:
    service["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = 1


def misplace(service: dict) -> None:
    annotations = service["spec"]["template"]["metadata"].pop("annotations")
    service["metadata"]["annotations"] = annotations


def invent(service: dict) -> None:
    service["spec"]["template"]["metadata"]["annotations"]["run.googleapis.com/cpu"] = "1"


@pytest.mark.parametrize("mistake", [misspell, mistype, misplace, invent])
@pytest.mark.parametrize("name", FILES)
def test_mistakes_are_detected(document, schema, name: str, mistake: Callable[[dict], None]):
    service = document(name)
    mistake(service)
    assert problems(service, schema)


@pytest.mark.parametrize("name", FILES)
def test_rules_beyond_the_schemas(document, name: str):
    spec = document(name)["spec"]["template"]["spec"]
    assert [len(container.get("ports", [])) for container in spec["containers"]].count(1) == 1
    for container in spec["containers"]:
        given = {variable["name"]: variable.get("value") for variable in container["env"]}
        # Cloud Run sets PORT for the container that has a port.
        assert ("PORT" in given) == (container["name"] == "app" and "ports" not in container)
        assert int(given["GRACEFUL_TIMEOUT"]) < GRACE
        assert int(given["REQUEST_TIMEOUT"]) <= spec["timeoutSeconds"]
        for kind in ("startupProbe", "livenessProbe"):
            probe = container[kind]
            path = probe["httpGet"]["path"]
            # Cloud Run reserves some paths that end with z.
            assert path.startswith("/health/") and not path.endswith("z")
            assert probe.get("timeoutSeconds", 1) <= probe["periodSeconds"]
        startup = container["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] <= 240


@pytest.fixture(scope="module")
def followed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """The result of the page's commands, run with a stand-in for gcloud."""
    return follow(
        built.project / "deploy" / "cloud-run" / "README.md",
        built.project,
        tmp_path_factory.mktemp("followed") / "programs",
        COMMAND_OUTPUT,
    )


@pytest.fixture(scope="module")
def running(
    docker_client: docker.DockerClient, built: Built, followed: Followed
) -> Iterator[Instance]:
    """An instance of the service that the page's commands deployed, with the key they stored."""
    deployed = yaml.safe_load(followed.piped("run", "services"))
    with instance(docker_client) as found:
        launch(found, built, deployed["spec"]["template"], followed.piped("secrets", "create"))
        yield found


def test_the_page_can_be_followed(built: Built, followed: Followed):
    slug = built.project.name
    deployed = yaml.safe_load(followed.piped("run", "services"))
    spec = deployed["spec"]["template"]["spec"]
    registry = f"europe-west1-docker.pkg.dev/my-project/{slug}"
    images = {container["name"]: container["image"] for container in spec["containers"]}
    assert images == {name: f"{registry}/{name}{DIGEST}" for name in ("app", "proxy")}
    assert spec["serviceAccountName"] == f"{slug}@my-project.iam.gserviceaccount.com"
    assert followed.calls_of("docker", "compose") == [["docker", "compose", "build", "--pull"]]
    tagged = {call[-1]: call[-2] for call in followed.calls_of("docker", "tag")}
    assert tagged == {f"{registry}/app:1": built.app, f"{registry}/proxy:1": built.proxy}
    pushed = [call[-1] for call in followed.calls_of("docker", "push")]
    assert pushed == list(tagged)
    assert followed.piped("secrets", "create") == built.key
    (app,) = [container for container in spec["containers"] if container["name"] == "app"]
    given = {variable["name"]: variable.get("value") for variable in app["env"]}
    assert given["TRUSTED_HOSTS"] == f"{slug}-123456789.europe-west1.run.app"
    (rolled_back,) = [call for call in followed.calls if "--to-revisions" in call]
    assert rolled_back[-1] == "before=100"


@pytest.mark.parametrize("forwarded_for", [OVERWRITES, APPENDS], ids=["overwrites", "appends"])
def test_the_service_behind_the_front_end(running: Instance, forwarded_for: str):
    """Clients cannot choose their address, however the front end sets X-Forwarded-For.

    It is said to overwrite the header; a front end that appends to it is tested too.
    """
    upstream = running.address(8080)
    with balancer(running.client, upstream, forwarded_for, network=running.network) as url:
        if forwarded_for == OVERWRITES:
            contract.check_all(url)
        else:
            contract.check_client_and_address(url)


def test_sigterm_loses_no_request(running: Instance):
    """In-flight requests complete when both containers get SIGTERM, ten seconds before SIGKILL."""
    running.stop_in_the_midst(8080, OVERWRITES, seconds=GRACE)


@pytest.mark.pairs([*EACH_SERVER, *BY_ANOTHER_SIGNAL])
def test_the_application_alone(docker_client: docker.DockerClient, built: Built):
    """Client address and URL are correct without the proxy, under gVisor (first generation).

    The tests of both containers run without gVisor, as in the second generation.
    """
    file = built.project / "deploy" / "cloud-run" / "app-only.yaml"
    # As the page's envsubst command does with the other file.
    text = file.read_text(encoding="utf-8").replace("${SERVICE}", built.project.name)
    template = yaml.safe_load(text)["spec"]["template"]
    drops = contract.drops_spellings(built.pair.server)
    with instance(docker_client, under_gvisor=True) as alone:
        launch(alone, built, template, "key")
        for forwarded_for in (OVERWRITES, APPENDS):
            upstream = alone.address(8080)
            with balancer(docker_client, upstream, forwarded_for, network=alone.network) as url:
                contract.check_client_and_address(url)
                if forwarded_for == OVERWRITES:
                    contract.check_application_alone(url, drops=drops)
        alone.stop_in_the_midst(8080, OVERWRITES, seconds=GRACE)
