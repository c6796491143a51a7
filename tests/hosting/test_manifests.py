"""The files for Swarm and Kubernetes, checked by validators that also reject invalid files."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.hosting.conftest import PAIRS_TRIED
from tests.hosting.pod import Manifest, kustomize, one
from tests.lib.stack import run
from tests.lib.template import FACTS, OPTIONS, Pair, generate

# The newest version that the pinned kubernetes-validate supports.
KUBERNETES = "1.37.0"
# Seconds that httpd may take to exit after GRACEFUL_TIMEOUT (measured).
HTTPD_TAKES = 10
# One pair is enough to check that a validator rejects errors.
ANY = PAIRS_TRIED[:1]
PRODUCTION = "deploy/kubernetes/overlays/production"


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
HOSTNAME = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9][-a-z0-9]*(\.[a-z0-9][-a-z0-9]*)*$"}
REFERENCE = {"group": {"type": "string"}, "kind": {"type": "string"}, "name": NAME}
# No available package has the schema of this resource. This one allows only what the template uses
# of https://gateway-api.sigs.k8s.io/reference/spec/.
HTTP_ROUTE = closed(
    {
        "apiVersion": {"const": "gateway.networking.k8s.io/v1"},
        "kind": {"const": "HTTPRoute"},
        "metadata": closed({"name": NAME, "namespace": NAME}, "name"),
        "spec": closed(
            {
                "parentRefs": {
                    "type": "array",
                    "items": closed(
                        REFERENCE | {"namespace": NAME, "sectionName": NAME, "port": PORT}, "name"
                    ),
                },
                "hostnames": {"type": "array", "items": HOSTNAME},
                "rules": {
                    "type": "array",
                    "items": closed(
                        {
                            "backendRefs": {
                                "type": "array",
                                "items": closed(
                                    REFERENCE | {"namespace": NAME, "port": PORT}, "name", "port"
                                ),
                            },
                            "filters": {
                                "type": "array",
                                "items": closed(
                                    {
                                        "type": {"const": "RequestRedirect"},
                                        "requestRedirect": closed(
                                            {
                                                "scheme": {"enum": ["http", "https"]},
                                                "statusCode": {"enum": [301, 302, 303, 307, 308]},
                                            }
                                        ),
                                    },
                                    "type",
                                    "requestRedirect",
                                ),
                            },
                        },
                    ),
                },
            },
            "parentRefs",
            "rules",
        ),
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
)


def validate(manifest: Manifest) -> None:
    """Raise jsonschema.ValidationError if a manifest is not valid for its kind."""
    if manifest["kind"] == "HTTPRoute":
        jsonschema.validate(manifest, HTTP_ROUTE)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.fixture(scope="session")
def project(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the pair, with a signing key for Kubernetes."""
    folder = tmp_path_factory.mktemp("manifests") / str(pair)
    project = generate(folder, wsgi_server=pair.server, proxy=pair.proxy, deploy_to="all")
    shutil.copy(project / "secrets/secret_key", project / PRODUCTION / "secret_key")
    return project


@pytest.fixture(scope="session")
def manifests(project: Path) -> list[Manifest]:
    return kustomize(project / PRODUCTION)


@pytest.fixture(scope="session")
def manifests_with_ingress(project: Path) -> list[Manifest]:
    """The same with the ingress component instead, as the overlay's comment describes."""
    overlay = project / PRODUCTION
    other = overlay.with_name("with-ingress")
    shutil.copytree(overlay, other)
    file = other / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("- ../../components/gateway", "- ../../components/ingress"))
    return kustomize(other)


def pod_spec(manifests: list[Manifest]) -> Manifest:
    return one(manifests, "Deployment")["spec"]["template"]["spec"]


def test_manifests_are_valid(manifests: list[Manifest], manifests_with_ingress: list[Manifest]):
    for manifest in (*manifests, *manifests_with_ingress):
        validate(manifest)
    kinds = {manifest["kind"] for manifest in manifests}
    assert kinds == {
        "Namespace",
        "Deployment",
        "Service",
        "ServiceAccount",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "ConfigMap",
        "Secret",
        "HTTPRoute",
    }
    with_ingress = {manifest["kind"] for manifest in manifests_with_ingress}
    assert with_ingress ^ kinds == {"HTTPRoute", "Ingress"}


def misspelt(node: Any) -> Iterator[Any]:
    """Yield copies of a manifest, each with one misspelt key."""
    if isinstance(node, dict):
        for key, value in node.items():
            if "/" in key:  # a label's name, which is freely chosen
                continue
            yield {name + "x" * (name == key): node[name] for name in node}
            # So are the keys in these.
            for other in () if key in ("data", "limits", "requests") else misspelt(value):
                yield node | {key: other}
    elif isinstance(node, list):
        for number, value in enumerate(node):
            for other in misspelt(value):
                yield [*node[:number], other, *node[number + 1 :]]


@pytest.mark.pairs(ANY)
def test_every_misspelt_key_is_refused(
    manifests: list[Manifest], manifests_with_ingress: list[Manifest]
):
    """A misspelt key is rejected in every kind, at every depth."""
    tried = 0
    for manifest in (*manifests, one(manifests_with_ingress, "Ingress")):
        for wrong in misspelt(manifest):
            if not {"apiVersion", "kind"} <= set(wrong):
                continue
            with pytest.raises(jsonschema.ValidationError):
                validate(wrong)
            tried += 1
    assert tried > 100


@pytest.mark.pairs(ANY)
@pytest.mark.parametrize("file", ["base", "components/gateway", "overlays/production"])
def test_a_misspelt_key_in_a_kustomization_is_refused(project: Path, tmp_path: Path, file: str):
    folder = tmp_path / "kubernetes"
    shutil.copytree(project / "deploy" / "kubernetes", folder)
    kustomization = folder / file / "kustomization.yaml"
    text = kustomization.read_text(encoding="utf-8")
    assert "\nresources:" in text
    kustomization.write_text(text.replace("\nresources:", "\nresource:"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"unknown field .*resource"):
        kustomize(folder / "overlays" / "production")


def violations(spec: Manifest) -> list[str]:
    """Return a pod's violations of the restricted Pod Security Standard.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/, without the rules that the
    check of the keys covers or that do not concern Linux pods.
    """
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"}
    allowed |= {"persistentVolumeClaim", "projected", "secret", "name"}
    found += [f"volume {name}" for volume in spec["volumes"] for name in set(volume) - allowed]
    of_pod = spec.get("securityContext", {})
    if of_pod.get("sysctls"):
        found.append("sysctls")
    for container in (*spec["initContainers"], *spec["containers"]):
        own = container.get("securityContext", {})
        both = of_pod | own
        good = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type")
            in ("RuntimeDefault", "Localhost"),
            "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", []),
            "capabilities.add": set(own.get("capabilities", {}).get("add", []))
            <= {"NET_BIND_SERVICE"},
            "procMount": own.get("procMount", "Default") == "Default",
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {name}" for name, is_good in good.items() if not is_good]
    return found


def test_pod_keeps_to_the_restricted_standard(manifests: list[Manifest]):
    """The pod meets the standard that its namespace enforces, with read-only file systems."""
    spec = pod_spec(manifests)
    assert violations(spec) == []
    labels = one(manifests, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.pairs(ANY)
@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"allowPrivilegeEscalation": True}, "proxy: allowPrivilegeEscalation"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "proxy: capabilities.drop"),
        ({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "proxy: capabilities.add"),
        ({"runAsUser": 0}, "proxy: runAsUser"),
        ({"runAsNonRoot": False}, "proxy: runAsNonRoot"),
        ({"seccompProfile": {"type": "Unconfined"}}, "proxy: seccompProfile"),
        ({"privileged": True}, "proxy: privileged"),
        ({"procMount": "Unmasked"}, "proxy: procMount"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_violations_are_detected(manifests: list[Manifest], change: Manifest, violation: str):
    spec = copy.deepcopy(pod_spec(manifests))
    spec["containers"][0]["securityContext"] |= change
    assert violations(spec) == [violation]


@pytest.mark.pairs(ANY)
def test_violations_of_the_pod_are_detected(manifests: list[Manifest]):
    spec = copy.deepcopy(pod_spec(manifests))
    spec |= {"hostNetwork": True, "hostPID": True, "hostIPC": True}
    spec["volumes"].append({"name": "node", "hostPath": {"path": "/"}})
    spec["securityContext"]["sysctls"] = [{"name": "kernel.shm_rmid_forced", "value": "0"}]
    spec["containers"][0]["ports"][0]["hostPort"] = 80
    assert len(violations(spec)) == 6


def test_images_are_named_by_digest(manifests: list[Manifest]):
    spec = pod_spec(manifests)
    for container in (*spec["initContainers"], *spec["containers"]):
        assert "@sha256:" in container["image"]


def test_pod_runs_as_its_images_do(manifests: list[Manifest], pair: Pair):
    (proxy,) = pod_spec(manifests)["containers"]
    security = proxy["securityContext"]
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    assert user == FACTS["_proxies"][pair.proxy]["user"]


def test_the_grace_period_is_long_enough(manifests: list[Manifest]):
    """It covers the pause and the shutdown of both containers, each of which may be httpd."""
    spec = pod_spec(manifests)
    settings = one(manifests, "ConfigMap")["data"]
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    least = pause + 2 * (int(settings["GRACEFUL_TIMEOUT"]) + HTTPD_TAKES)
    assert spec["terminationGracePeriodSeconds"] > least


def test_pods_accept_connections_only_at_the_proxys_port(
    manifests: list[Manifest], manifests_with_ingress: list[Manifest]
):
    for rendered in (manifests, manifests_with_ingress):
        policy = one(rendered, "NetworkPolicy")["spec"]
        selector = one(rendered, "Deployment")["spec"]["selector"]
        assert policy["podSelector"] == selector
        (rule,) = policy["ingress"]
        (port,) = one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"]
        assert rule["ports"] == [{"protocol": "TCP", "port": port["containerPort"]}]


@pytest.mark.pairs(ANY)
def test_plain_http_is_redirected(manifests: list[Manifest]):
    """The Gateway redirects HTTP to HTTPS: each of its listeners has its own route."""
    routes = [manifest["spec"] for manifest in manifests if manifest["kind"] == "HTTPRoute"]
    found = {}
    for route in routes:
        (parent,), (rule,) = route["parentRefs"], route["rules"]
        assert (parent["name"], parent["namespace"]) == ("public", "gateway")
        found[parent["sectionName"]] = rule
    assert "filters" not in found["https"] and found["https"]["backendRefs"]
    assert found["http"] == {
        "filters": [
            {
                "type": "RequestRedirect",
                "requestRedirect": {"scheme": "https", "statusCode": 301},
            }
        ]
    }
    assert len({tuple(route["hostnames"]) for route in routes}) == 1
    settings = one(manifests, "ConfigMap")["data"]
    assert settings["TRUSTED_HOSTS"].split(",") == routes[0]["hostnames"]


@pytest.mark.pairs(ANY)
def test_name_servers_are_reached_on_the_node_too(manifests: list[Manifest]):
    """Only their port is allowed: one of the addresses is also the metadata server's."""
    (rule,) = one(manifests, "NetworkPolicy")["spec"]["egress"]
    blocks = {peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer}
    assert blocks == {"169.254.20.10/32", "169.254.169.254/32"}
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {
        ("UDP", 53),
        ("TCP", 53),
    }


def test_all_selectors_match_the_pods(manifests: list[Manifest]):
    """An empty selector would select all pods of the namespace, and a missing one no pod."""
    deployment = one(manifests, "Deployment")["spec"]
    labels = deployment["selector"]["matchLabels"]
    assert deployment["template"]["metadata"]["labels"] == labels
    assert one(manifests, "Service")["spec"]["selector"] == labels
    assert one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    for constraint in pod_spec(manifests)["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels


@pytest.mark.pairs(ANY)
def test_prometheus_can_connect_to_the_application(pair: Pair, tmp_path: Path):
    """If metrics are chosen, a second network policy allows it, in addition to the clients' one."""
    project = generate(
        tmp_path,
        wsgi_server=pair.server,
        proxy=pair.proxy,
        deploy_to="kubernetes",
        metrics=OPTIONS["metrics"],
    )
    shutil.copy(project / "secrets/secret_key", project / PRODUCTION / "secret_key")
    rendered = kustomize(project / PRODUCTION)
    deployment = one(rendered, "Deployment")["spec"]
    policies = {
        each["metadata"]["name"]: each for each in rendered if each["kind"] == "NetworkPolicy"
    }
    assert len(policies) == 2
    metrics = policies["metrics"]
    validate(metrics)
    for policy in policies.values():
        assert policy["spec"]["podSelector"] == deployment["selector"]
    (rule,) = metrics["spec"]["ingress"]
    asked = pod_spec(rendered)["initContainers"][0]["livenessProbe"]["httpGet"]
    assert rule["ports"] == [{"protocol": "TCP", "port": asked["port"]}]
    (source,) = rule["from"]
    assert source["namespaceSelector"]["matchLabels"], "an empty selector allows all namespaces"


def stack_config(project: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a stack file as Docker reads it."""
    (project / "stack.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("APP_IMAGE", "registry.example.com/app:1")
    monkeypatch.setenv("PROXY_IMAGE", "registry.example.com/proxy:1")
    monkeypatch.setenv("TRUSTED_HOSTS", "www.example.com")
    return run(["docker", "stack", "config", "--compose-file", "stack.yaml"], cwd=project)


@pytest.fixture
def stack(engine: None, project: Path) -> str:
    """The text of the stack file, for tests that need the docker command to read it."""
    return (project / "deploy" / "swarm" / "stack.yaml").read_text(encoding="utf-8")


def test_stack_is_valid(stack: str, project: Path, monkeypatch: pytest.MonkeyPatch):
    services = yaml.safe_load(stack_config(project, stack, monkeypatch))["services"]
    app = services["app"]["deploy"]
    assert app["replicas"] >= 2
    assert app["update_config"]["order"] == "start-first"
    assert app["update_config"]["failure_action"] == "rollback"
    for service in services.values():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        grace = int(service["stop_grace_period"].removesuffix("s"))
        assert grace > int(service["environment"]["GRACEFUL_TIMEOUT"]) + HTTPD_TAKES


def test_stack_names_no_image(stack: str):
    """Each release sets the images: a missing setting is an error, and no old image is used."""
    for service in yaml.safe_load(stack)["services"].values():
        assert service["image"].startswith("${") and ":?" in service["image"]


@pytest.mark.pairs(ANY)
@pytest.mark.parametrize(
    "key", ["read_only", "update_config", "order", "pids", "mode", "external", "target", "driver"]
)
def test_a_misspelt_key_in_the_stack_is_refused(
    stack: str, project: Path, monkeypatch: pytest.MonkeyPatch, key: str
):
    wrong = stack.replace(f"{key}:", f"{key}x:")
    assert wrong != stack
    with pytest.raises(AssertionError, match=f"{key}x"):
        stack_config(project, wrong, monkeypatch)
