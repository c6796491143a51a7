"""Load from a container that shares the network of what it loads, so that it stays on loopback."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.harness.template import PYTHON_VERSIONS, base_images

IMAGE = "flask-sidecar-bench-load"


@dataclass(frozen=True)
class Work:
    """What is asked for, and by how many clients at a time."""

    path: str
    connections: int
    # Bytes of a body to upload; 0: a GET request.
    body: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of the requests: latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    errors: int
    answers: int


def build() -> None:
    """Build the image with the load generators."""
    (python,) = base_images(PYTHON_VERSIONS[:1], [])
    docker.from_env().images.build(
        path=str(Path(__file__).parent / "load"),
        tag=IMAGE,
        buildargs={"PYTHON_IMAGE": python},
        rm=True,
    )


class Generator:
    """Sends requests to one port of a container's own loopback interface."""

    def __init__(self, container: Container, port: int) -> None:
        self.container = container
        self.url = f"http://127.0.0.1:{port}"

    def _run(self, *command: str) -> str:
        status, output = self.container.exec_run(list(command))
        text = output.decode()
        if status:
            raise RuntimeError(f"{' '.join(command)}: exit {status}\n{text}")
        return text

    def ask(self, work: Work, seconds: float, *, rate: float = 0) -> Outcome:
        """Ask as fast as answers come, each client waiting for its own, for ``seconds``.

        Or ``rate`` times a second on average, at random moments, as independent clients do.
        """
        printed = self._run(
            "wrk",
            f"--connections={work.connections}",
            "--threads=1",
            f"--duration={seconds}s",
            "--timeout=10s",
            "--script=/report.lua",
            self.url + work.path,
            "--",
            str(work.body),
            str(rate),
        )
        found = json.loads(printed.splitlines()[-1])
        # wrk counts what is 400 or more; nothing here redirects.
        return Outcome(
            found["requests"] / found["seconds"],
            found["p50_ms"],
            found["p99_ms"],
            found["p999_ms"],
            found["errors"] if found["requests"] else 1,
            found["requests"],
        )

    def ask_in_a_row(self, work: Work, count: int) -> Outcome:
        """Ask ``count`` times over a single connection."""
        printed = self._run("hey", "-c", "1", "-n", str(count), self.url + work.path)
        statuses = {
            int(status): int(count)
            for status, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", printed)
        }
        _, _, failures = printed.partition("Error distribution:")
        failed = sum(map(int, re.findall(r"\[(\d+)\]", failures)))
        bad = sum(count for status, count in statuses.items() if status != 200)

        def percentile(which: int) -> float:
            found = re.search(rf"^\s+{which}% in ([\d.]+) secs", printed, re.MULTILINE)
            return float(found[1]) * 1e3 if found else float("nan")

        (per_second,) = re.findall(r"Requests/sec:\s+([\d.]+)", printed)
        return Outcome(
            float(per_second),
            percentile(50),
            percentile(99),
            float("nan"),
            failed + bad,
            sum(statuses.values()),
        )


@contextmanager
def beside(container: Container, port: int) -> Iterator[Generator]:
    """Yield a generator that shares the network of ``container`` and asks its ``port``."""
    generator = docker.from_env().containers.run(
        IMAGE,
        detach=True,
        init=True,
        network_mode=f"container:{container.id}",
        # hey opens a file for each connection.
        ulimits=[docker.types.Ulimit(name="nofile", soft=8192, hard=8192)],
    )
    try:
        yield Generator(generator, port)
    finally:
        generator.remove(force=True)
