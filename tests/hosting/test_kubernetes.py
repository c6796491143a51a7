"""Kubernetes without a cluster: validated manifests, and the pod emulated on Docker."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from tests.hosting import contract
from tests.hosting.balancer import APPENDS, balancer
from tests.hosting.conftest import PACKAGE, Built
from tests.hosting.page import follow
from tests.hosting.pod import Manifest, Pod, kustomize, one, running
from tests.hosting.runtime import network, probe_views
from tests.lib.load import ask, load
from tests.lib.stack import wait_until

OVERLAY = Path("deploy/kubernetes/overlays/production")


@pytest.fixture(scope="session")
def manifests(built: Built, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The manifests of the production overlay, after the page's setup commands."""
    folder = tmp_path_factory.mktemp("kubernetes")
    project = folder / built.project.name
    shutil.copytree(built.project, project)
    page = project / "deploy/kubernetes/README.md"
    follow(page, project, folder / "programs", heading="Set up, once")
    return kustomize(project / OVERLAY)


@pytest.fixture(scope="session")
def pods(docker_client: docker.DockerClient) -> Iterator[str]:
    """The network of the pods."""
    with network(docker_client) as found:
        yield found


@pytest.fixture(scope="session")
def make_pod(
    docker_client: docker.DockerClient,
    built: Built,
    manifests: list[Manifest],
    pods: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Pod]:
    """A function that returns a pod of the Deployment, with the probe's views added."""
    spec = one(manifests, "Deployment")["spec"]["template"]["spec"]
    containers = [*spec["initContainers"], *spec["containers"]]
    local = {"app": built.app, "proxy": built.proxy}
    volumes = probe_views(PACKAGE)

    def make(trusted_hosts: str) -> Pod:
        return Pod(
            docker_client,
            manifests,
            images={container["image"]: local[container["name"]] for container in containers},
            folder=tmp_path_factory.mktemp("secrets"),
            network=pods,
            volumes={"app": volumes},
            settings={"TRUSTED_HOSTS": trusted_hosts},
        )

    return make


@pytest.fixture(scope="session")
def pod(make_pod: Callable[[str], Pod]) -> Iterator[Pod]:
    """A pod whose TRUSTED_HOSTS do not include the host name that its probes send."""
    with running(make_pod("service.example,127.0.0.1")) as pod:
        yield pod


@pytest.fixture(scope="session")
def gateway(docker_client: docker.DockerClient, pod: Pod) -> Iterator[str]:
    """A gateway in front of the pod. It appends the client's address, as gateways do by default."""
    with balancer(docker_client, f"{pod.address}:8080", APPENDS, network=pod.network) as url:
        yield url


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_contract(gateway: str, check: Callable[[str], None]):
    check(gateway)


def test_replacing_a_pod_loses_no_request(
    make_pod: Callable[[str], Pod], record_property: Callable[[str, object], None]
):
    """No request fails when a pod stops while the cluster still sends requests to it."""
    # The tests request the pods by their addresses.
    pod = make_pod("")
    endpoints = [pod]

    def endpoint() -> str:
        return f"http://{random.choice(endpoints).address}:8080/probe/work/0.05/"  # noqa: S311

    with (
        running(pod),
        running(make_pod("")) as successor,
        load(endpoint, most=20_000) as sent,
        ThreadPoolExecutor() as pool,
    ):
        wait_until(lambda: sent.count(200) > 50, timeout=20)
        endpoints.append(successor)
        stopping = pool.submit(pod.stop)
        # The cluster removes the endpoint late: the pod gets new requests for most of its pause.
        heard = time.monotonic() + pod.pause - 2
        wait_until(lambda: time.monotonic() > heard, timeout=pod.pause)
        long = pool.map(
            ask, [f"http://{pod.address}:8080/probe/work/5.0/{uuid4().hex}" for _ in range(3)]
        )
        endpoints.remove(pod)
        stopping.result()
        outcomes = list(long)
        answered = sent.count(200)
        wait_until(lambda: sent.count(200) > answered + 20, timeout=10)
        assert pod.exit_codes() == {"app": 0, "proxy": 0}
        assert pod.ended["proxy"] < pod.ended["app"]
    outcomes += sent.outcomes
    failed = [outcome for outcome in outcomes if outcome.status != 200 or outcome.cut]
    record_property("pod_replaced_sent", len(outcomes))
    record_property("pod_replaced_failed", len(failed))
    assert failed == []
