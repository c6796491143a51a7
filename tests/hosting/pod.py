"""An emulated Kubernetes node: runs the pod of a rendered Deployment on Docker.

It handles the fields that this template uses as the kubelet does, and fails on unknown ones.
"""

import base64
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import requests
import yaml
from docker.models.containers import Container

from tests.lib.stack import wait_until
from tests.lib.template import FACTS

# The image of a sleeping container, which holds the network namespace that the containers share.
HOLDER = FACTS["_proxies"]["nginx"]["image"]
BYTES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

Manifest = dict[str, Any]


def kustomize(folder: Path) -> list[Manifest]:
    """Return the manifests that `kubectl kustomize` renders from a folder.

    Raises ValueError with its error output if it fails.
    """
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def size(quantity: str) -> int:
    """Return a quantity such as 64Mi in bytes."""
    return int(quantity[:-2]) * BYTES[quantity[-2:]]


@dataclass
class Pod:
    """A pod of the manifests' Deployment; its containers by name, in the order of their start."""

    client: docker.DockerClient
    manifests: list[Manifest]
    # The local image for each container.
    images: dict[str, str]
    # For the secrets' files.
    folder: Path
    network: str
    # Test files that are mounted over the containers' files, by container.
    volumes: dict[str, dict[str, dict[str, str]]]
    # Settings that replace those of the manifests.
    settings: dict[str, str] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    # The (monotonic) time at which each container exited.
    ended: dict[str, float] = field(default_factory=dict)

    @property
    def spec(self) -> Manifest:
        return one(self.manifests, "Deployment")["spec"]["template"]["spec"]

    @cached_property
    def address(self) -> str:
        """The pod's address, which all of its containers share."""
        self.holder.reload()
        return self.holder.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"]

    def hold(self) -> None:
        """Start the container that holds the network namespace."""
        self.holder = self.client.containers.run(
            HOLDER, ["sleep", "infinity"], entrypoint="", detach=True, network=self.network
        )

    def complete(self) -> tuple[int, str]:
        """Run the only container of the manifests' Job; return its exit code and its log.

        Its volumes must be those of the Deployment, by the same names.
        """
        spec = one(self.manifests, "Job")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert all(volume in self.spec["volumes"] for volume in spec["volumes"])
        self.hold()
        try:
            self.run(container)
            (code,) = self.exit_codes().values()
            return code, self.containers[container["name"]].logs().decode()
        finally:
            self.remove()

    def start(self) -> None:
        """Start the sidecars one after the other, then the other containers; wait until ready."""
        self.hold()
        for container in self.spec["initContainers"]:
            assert container["restartPolicy"] == "Always", "a sidecar"
            self.run(container)
            self.await_probe(container, "startupProbe")
        for container in self.spec["containers"]:
            self.run(container)
        for container in self.spec["containers"]:
            self.await_probe(container, "readinessProbe")
            self.await_probe(container, "livenessProbe")

    def run(self, container: Manifest) -> None:
        """Run a container as its manifest defines."""
        security = container["securityContext"]
        limits = container["resources"]["limits"]
        assert security["allowPrivilegeEscalation"] is False
        self.containers[container["name"]] = self.client.containers.run(
            self.images[container["image"]],
            container.get("args"),
            detach=True,
            network_mode=f"container:{self.holder.id}",
            environment=self.environment(container),
            user=f"{security['runAsUser']}:{security['runAsGroup']}",
            read_only=security["readOnlyRootFilesystem"],
            cap_drop=security["capabilities"]["drop"],
            security_opt=["no-new-privileges:true"],
            nano_cpus=int(limits["cpu"]) * 10**9,
            mem_limit=size(limits["memory"]),
            # Kubernetes ignores an image's own health check.
            healthcheck={"test": ["NONE"]},
            **self.mounts(container),
        )

    def environment(self, container: Manifest) -> dict[str, str]:
        """Return a container's environment variables."""
        found: dict[str, str] = {}
        for source in container["envFrom"]:
            found |= self.named("ConfigMap", source["configMapRef"]["name"])["data"]
        assert self.settings.keys() <= found.keys()
        found |= self.settings
        return found | {variable["name"]: self.value(variable) for variable in container["env"]}

    def value(self, variable: Manifest) -> str:
        """Return the value of an environment variable, which may be in the Secret."""
        if "value" in variable:
            return variable["value"]
        reference = variable["valueFrom"]["secretKeyRef"]
        data = self.named("Secret", reference["name"])["data"]
        return base64.b64decode(data[reference["key"]]).decode()

    def named(self, kind: str, name: str) -> Manifest:
        """Return the manifest of a kind and a name."""
        manifest = one(self.manifests, kind)
        assert manifest["metadata"]["name"] == name
        return manifest

    def mounts(self, container: Manifest) -> dict[str, dict]:
        """Return a container's volumes as arguments for Docker."""
        tmpfs: dict[str, str] = {}
        binds = dict(self.volumes.get(container["name"], {}))
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "emptyDir" in volume:
                assert volume["emptyDir"]["medium"] == "Memory"
                limit = size(volume["emptyDir"]["sizeLimit"])
                tmpfs[mount["mountPath"]] = f"size={limit},mode=0777"
            else:
                secret = self.named("Secret", volume["secret"]["secretName"])
                # Readable for all users, as a secret's volume is by default.
                self.folder.chmod(0o755)
                for name, value in secret["data"].items():
                    (self.folder / name).write_bytes(base64.b64decode(value))
                binds[str(self.folder)] = {"bind": mount["mountPath"], "mode": "ro"}
        return {"tmpfs": tmpfs, "volumes": binds}

    def await_probe(self, container: Manifest, kind: str) -> None:
        """Send a probe's requests until one succeeds. Fails when the probe would fail."""
        probe = container[kind]
        ask = probe["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        port = ports.get(ask["port"], ask["port"])
        headers = {header["name"]: header["value"] for header in ask["httpHeaders"]}

        def succeeds() -> bool:
            try:
                response = requests.get(
                    f"http://{self.address}:{port}{ask['path']}",
                    headers=headers,
                    timeout=probe.get("timeoutSeconds", 1),
                    allow_redirects=False,
                )
            except requests.RequestException:
                return False
            return response.status_code == 200

        seconds = probe["periodSeconds"] * probe.get("failureThreshold", 3)
        wait_until(
            succeeds,
            timeout=seconds,
            told=lambda: self.containers[container["name"]].logs().decode(),
        )

    @property
    def pause(self) -> int:
        """Seconds between the decision to stop the pod and the first stop signal."""
        (container,) = self.spec["containers"]
        return container["lifecycle"]["preStop"]["sleep"]["seconds"]

    def stop(self) -> None:
        """Stop as the kubelet does: the pause, the main container, then the sidecars in reverse.

        Each container gets the stop signal of its image, and all share one grace period.
        """
        began = time.monotonic()
        deadline = began + self.spec["terminationGracePeriodSeconds"]
        time.sleep(self.pause)  # the pause in the manifest, not a wait for a condition
        for container in [*self.spec["containers"], *reversed(self.spec["initContainers"])]:
            name = container["name"]
            self.containers[name].stop(timeout=max(1, int(deadline - time.monotonic())))
            self.ended[name] = time.monotonic()

    def exit_codes(self) -> dict[str, int]:
        """Return the exit code of each container."""
        return {name: container.wait()["StatusCode"] for name, container in self.containers.items()}

    def remove(self) -> None:
        """Remove all containers."""
        for container in (*self.containers.values(), self.holder):
            container.remove(force=True)


@contextmanager
def running(pod: Pod) -> Iterator[Pod]:
    """Run a pod, and remove it afterwards."""
    try:
        pod.start()
        yield pod
    finally:
        pod.remove()
