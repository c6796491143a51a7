"""Azure App Service: files against Azure's client library; an emulated web app.

Emulated: nothing here ran on Azure. https://learn.microsoft.com/azure/app-service/overview-sidecar
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pycep
import pytest
import yaml
from azure.mgmt.web.models import (
    AppServicePlan,
    CsmPublishingCredentialsPoliciesEntity,
    Site,
    SiteContainer,
)

from tests.lib.template import generate

from . import contract
from .balancer import APPENDS_WITH_PORT, balancer
from .conftest import EACH_SERVER, PACKAGE, Built
from .instance import Instance, instance
from .page import Followed, follow
from .runtime import probe_views
from .schemas import Schema, azure_model, problems

DIGEST = "sha256:" + "0" * 64
# Emulated output of az; its other commands print nothing. Docker commands are only recorded: the
# images exist already, and there is no registry.
COMMAND_OUTPUT = {
    "docker": {},
    "az": {
        "*' acr repository show '*": f"echo {DIGEST}",
        "*' webapp list '*": "echo the-web-app",
        "*' --query id '*": "echo an-id",
        # The page removes the file afterwards: record its content and its mode.
        "*' keyvault secret set '*": (
            'while test "$1" != --file; do shift; done; cp "$2" "$here/stored"'
            '; stat --format %a "$2" > "$here/mode"'
        ),
    },
}
# Keys of resources that Bicep defines, not Azure.
OF_BICEP = {"parent", "scope", "dependsOn"}


def strict(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


TEXT: Schema = {"type": "string"}

# The schema of azure.yaml, from azd's schemas/v1.0/azure.yaml.json (github.com/Azure/azure-dev),
# which allows unknown keys. The parts that deploy code are left out: they are not used here.
AZURE_YAML = strict(
    name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
    resourceGroup=TEXT,
    infra=strict(provider={"enum": ["bicep", "terraform"]}, path=TEXT, module=TEXT),
)


@pytest.fixture(scope="module")
def accepted() -> dict[str, Schema]:
    """The strict schema of each type of resource."""
    return {
        "Microsoft.Web/serverfarms": azure_model(AppServicePlan),
        "Microsoft.Web/sites": azure_model(Site),
        "Microsoft.Web/sites/sitecontainers": azure_model(SiteContainer),
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies": azure_model(
            CsmPublishingCredentialsPoliciesEntity
        ),
        # From their pages at https://learn.microsoft.com/azure/templates/
        "Microsoft.ManagedIdentity/userAssignedIdentities": strict(name=TEXT, location=TEXT),
        "Microsoft.Authorization/roleAssignments": strict(
            name=TEXT,
            properties=strict(
                principalId=TEXT,
                principalType={"enum": ["Device", "Group", "ServicePrincipal", "User"]},
                roleDefinitionId=TEXT,
            ),
        ),
        "Microsoft.ContainerRegistry/registries": strict(name=TEXT),
        "Microsoft.KeyVault/vaults": strict(name=TEXT),
    }


def parse(file: Path) -> dict[str, Any]:
    return pycep.BicepParser().parse(text=file.read_text(encoding="utf-8"))


def evaluated(value: Any) -> Any:
    """Replace each expression with a fixed text: only Azure can evaluate it."""
    if isinstance(value, dict):
        if value.keys() & {"operator", "function"}:
            return "an expression"
        return {key: evaluated(entry) for key, entry in value.items()}
    return [evaluated(entry) for entry in value] if isinstance(value, list) else value


def wrong(bicep: dict[str, Any], accepted: dict[str, Schema]) -> list[str]:
    """Return the errors for which Azure would reject the resources."""
    found = []
    for name, resource in bicep["resources"].items():
        said = {key: entry for key, entry in resource["config"].items() if key not in OF_BICEP}
        found += [
            f"{name}: {problem}"
            for problem in problems(evaluated(said), accepted[resource["type"]])
        ]
    return found


def settings(bicep: dict[str, Any]) -> dict[str, str]:
    """Return the app settings."""
    properties = bicep["resources"]["web"]["config"]["properties"]
    return {entry["name"]: entry["value"] for entry in properties["siteConfig"]["appSettings"]}


def containers(bicep: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the containers' properties."""
    return {
        resource["config"]["name"]: resource["config"]["properties"]
        for resource in bicep["resources"].values()
        if resource["type"].endswith("/sitecontainers")
    }


def references(value: Any) -> Iterator[str]:
    """Yield the names that expressions begin with: they refer to other parts of the file."""
    if isinstance(value, str):
        yield from re.findall(r"\$\{(\w+)[.}]", value)
    elif isinstance(value, dict):
        if value.get("type") == "property_accessor":
            yield value["operands"]["operand_1"]
        for key, entry in value.items():
            yield from references(key)
            if key != "operands":
                yield from references(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from references(entry)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("azure"), deploy_to="azure") / "deploy" / "azure"


@pytest.fixture
def bicep(folder: Path) -> dict[str, Any]:
    return parse(folder / "main.bicep")


def test_azures_client_library_accepts_every_key(bicep, accepted):
    assert wrong(bicep, accepted) == []


def misspell(web: dict, container: dict) -> None:
    web["siteConfig"]["healthCheckpath"] = web["siteConfig"].pop("healthCheckPath")


def misspell_deeper(web: dict, container: dict) -> None:
    container["environmentVariables"][0]["val"] = "x"


def mistype(web: dict, container: dict) -> None:
    container["isMain"] = "true"


def choose_what_is_not_there(web: dict, container: dict) -> None:
    container["authType"] = "ManagedIdentity"


@pytest.mark.parametrize("mistake", [misspell, misspell_deeper, mistype, choose_what_is_not_there])
def test_mistakes_are_detected(bicep, accepted, mistake: Callable[[dict, dict], None]):
    mistaken = copy.deepcopy(bicep)
    mistake(
        mistaken["resources"]["web"]["config"]["properties"],
        mistaken["resources"]["proxy"]["config"]["properties"],
    )
    assert wrong(mistaken, accepted)


def test_named_files_exist(bicep):
    there = {*bicep["resources"], *bicep["parameters"], *bicep["variables"]}
    named = set(references(bicep["resources"]))
    assert {"identity", "plan", "vaultName"} <= named <= there


def test_rules_beyond_the_schemas(bicep):
    given, sidecars = settings(bicep), containers(bicep)
    assert [sidecar["isMain"] for sidecar in sidecars.values()].count(True) == 1
    assert sidecars["proxy"]["isMain"]
    # The platform sends requests only to these ports.
    assert sidecars["proxy"]["targetPort"] in ("80", "8080")
    for sidecar in sidecars.values():
        # A value that is not the name of a setting becomes an empty string, without an error.
        assert {entry["value"] for entry in sidecar["environmentVariables"]} <= set(given)
        assert sidecar["image"] in bicep["parameters"]
    assert given["APP_PORT"] == sidecars["app"]["targetPort"]
    assert given["UPSTREAM"] == f"127.0.0.1:{given['APP_PORT']}"
    # httpd may take 10 seconds more.
    stop = int(given["WEBSITES_CONTAINER_STOP_TIME_LIMIT"])
    assert int(given["GRACEFUL_TIMEOUT"]) + 10 < stop <= 120
    # 230 s is the front end's own limit on a request.
    assert int(given["REQUEST_TIMEOUT"]) < 230


def test_publishing_needs_no_password(bicep):
    policies = [
        resource["config"]
        for resource in bicep["resources"].values()
        if resource["type"].endswith("/basicPublishingCredentialsPolicies")
    ]
    assert {policy["name"] for policy in policies} == {"ftp", "scm"}
    assert all(policy["properties"] == {"allow": False} for policy in policies)
    site = bicep["resources"]["web"]["config"]["properties"]
    assert site["httpsOnly"] is True
    assert site["siteConfig"]["ftpsState"] == "Disabled"


def test_azd_finds_its_files(folder: Path, bicep):
    config = yaml.safe_load((folder / "azure.yaml").read_text(encoding="utf-8"))
    assert problems(config, AZURE_YAML) == []
    assert problems(config | {"resourcegroup": "x"}, AZURE_YAML)
    assert problems(config | {"infra": {"modul": "main"}}, AZURE_YAML)
    module = folder / config["infra"]["path"] / config["infra"]["module"]
    assert module.with_suffix(".bicep").is_file()
    given = json.loads(module.with_suffix(".parameters.json").read_text(encoding="utf-8"))
    needed = {name for name, entry in bicep["parameters"].items() if entry["default"] is None}
    assert set(given["parameters"]) == needed


@pytest.fixture(scope="module")
def followed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """The result of the page's commands, run with a stand-in for az."""
    return follow(
        built.project / "deploy" / "azure" / "README.md",
        built.project,
        tmp_path_factory.mktemp("followed") / "programs",
        COMMAND_OUTPUT,
    )


def test_the_page_can_be_followed(built: Built, followed: Followed, bicep):
    registry = f"myregistry.azurecr.io/{built.project.name}"
    assert followed.calls_of("docker", "compose") == [["docker", "compose", "build", "--pull"]]
    # The key is on no command line, and only the owner can read its file until it is removed.
    assert (followed.folder / "stored").read_text(encoding="utf-8") == built.key
    assert (followed.folder / "mode").read_text(encoding="utf-8") == "600\n"
    assert not [word for call in followed.calls for word in call if built.key in word]
    assert {path.name for path in (built.project / "secrets").iterdir()} <= {"secret_key", "none"}
    tagged = {call[-1]: call[-2] for call in followed.calls_of("docker", "tag")}
    assert tagged == {f"{registry}/app:1": built.app, f"{registry}/proxy:1": built.proxy}
    pushed = [call[-1] for call in followed.calls_of("docker", "push")]
    assert pushed == list(tagged)
    (deployed,) = followed.calls_of("az", "deployment")
    assert (built.project / deployed[deployed.index("--template-file") + 1]).is_file()
    given = dict(word.split("=", 1) for word in deployed if re.match(r"\w+=", word))
    assert given == {
        "appImage": f"{registry}/app@{DIGEST}",
        "proxyImage": f"{registry}/proxy@{DIGEST}",
        "registryName": "myregistry",
        "vaultName": "my-vault",
    }
    assert given.keys() <= bicep["parameters"].keys()
    # The page exports the variables that azd reads.
    parameters = (built.project / "deploy" / "azure" / "main.parameters.json").read_text()
    page = (built.project / "deploy" / "azure" / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)\}", parameters):
        assert re.search(rf"export .*\b{name}=", page), name


class WebApp:
    """The containers of main.bicep, which can start in any order, as on App Service."""

    def __init__(self, built: Built, running: Instance, key: str) -> None:
        self.bicep = parse(built.project / "deploy" / "azure" / "main.bicep")
        self.settings = settings(self.bicep)
        reference = "@Microsoft.KeyVault(VaultName=${vaultName};SecretName=secret-key)"
        assert self.settings["SECRET_KEY"] == reference
        self.settings["SECRET_KEY"] = key
        assert self.settings["TRUSTED_HOSTS"] == "trustedHosts"
        self.settings["TRUSTED_HOSTS"] = "service.example,127.0.0.1"
        self.images = {"appImage": built.app, "proxyImage": built.proxy}
        self.running = running

    def start(self, name: str) -> None:
        """Start a container with the settings that it refers to."""
        container = containers(self.bicep)[name]
        assert container["inheritAppSettingsAndConnectionStrings"] is False
        self.running.start(
            name,
            self.images[container["image"]],
            {
                entry["name"]: self.settings[entry["value"]]
                for entry in container["environmentVariables"]
            },
            memory="512M",
            volumes=probe_views(PACKAGE) if name == "app" else {},
        )

    def warm_up(self) -> int | None:
        """Send one warm-up request, as the platform does until it succeeds; return the status."""
        return self.running.status(8080, self.settings["WEBSITE_WARMUP_PATH"])

    def is_warm(self) -> bool:
        return str(self.warm_up()) in self.settings["WEBSITE_WARMUP_STATUSES"].split(",")

    def wait_until_warm(self) -> None:
        limit = int(self.settings["WEBSITES_CONTAINER_START_TIME_LIMIT"])
        self.running.wait_for(8080, self.settings["WEBSITE_WARMUP_PATH"], seconds=min(limit, 60))


@pytest.fixture(scope="module")
def web_app(
    docker_client: docker.DockerClient, built: Built, followed: Followed
) -> Iterator[WebApp]:
    """A web app whose proxy starts before its application, with the key that the page stored."""
    stored = (followed.folder / "stored").read_text(encoding="utf-8")
    with instance(docker_client) as running:
        found = WebApp(built, running, stored)
        found.start("proxy")
        running.wait_for(8080, "/health/proxy", seconds=20)
        # The platform repeats the request for as long as this takes.
        for _ in range(5):
            assert found.warm_up() in (502, 503)
            assert not found.is_warm()
        found.start("app")
        found.wait_until_warm()
        yield found


def test_the_web_app_behind_the_front_end(web_app: WebApp):
    """The front end adds the client's address with a port, which the application does not see."""
    running = web_app.running
    upstream = running.address(8080)
    with balancer(running.client, upstream, APPENDS_WITH_PORT, network=running.network) as url:
        contract.check_all(url)


def test_sigterm_loses_no_request(web_app: WebApp):
    """In-flight requests complete when both containers get SIGTERM at once."""
    limit = int(web_app.settings["WEBSITES_CONTAINER_STOP_TIME_LIMIT"])
    web_app.running.stop_in_the_midst(8080, APPENDS_WITH_PORT, seconds=limit)


@pytest.mark.pairs(EACH_SERVER)
def test_the_application_may_start_first(docker_client: docker.DockerClient, built: Built):
    with instance(docker_client) as running:
        found = WebApp(built, running, "key")
        found.start("app")
        running.wait_for(8000, "/health/ready", seconds=30)
        assert found.warm_up() is None
        found.start("proxy")
        found.wait_until_warm()
