"""Load from a container that shares the network of its target, so that traffic is on loopback."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.harness.template import PYTHON_VERSIONS, base_images

# Asks once, and looks for half a second at what becomes of the connection.
LOOK = """
import http.client, sys, urllib.parse
address = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(address.netloc, timeout=10)
connection.request("GET", address.path)
connection.getresponse().read()
try:
    if connection.sock:
        connection.sock.settimeout(0.5)
    print("closed" if connection.sock is None or connection.sock.recv(1) == b"" else "unclear")
except TimeoutError:
    print("kept")
"""
FOLDER = Path(__file__).parent / "load"
# Of its content: working trees that share an engine may have others.
CONTENT = b"".join(file.read_bytes() for file in sorted(FOLDER.iterdir()))
IMAGE = f"flask-sidecar-bench-load:{hashlib.sha256(CONTENT).hexdigest()[:12]}"
# Of requests that are sent at a rate, so many may wait for their answers before one is sent late.
CLIENTS = 64
# A run at a rate is looked at in so many parts, which make the interval of its latencies.
PARTS = 5


@dataclass(frozen=True)
class Work:
    """What is asked for, and by how many clients at a time."""

    path: str
    connections: int
    # Bytes of a body to upload; 0: a GET request.
    body: int = 0
    # What else is asked for, in turn.
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of the requests: latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    answers: int


@dataclass(frozen=True)
class Paced(Outcome):
    """What became of requests that were sent at a rate, whether or not others were answered."""

    # The latency of 99 of 100 in each part of the time.
    p99_ms_of_parts: tuple[float, ...]
    # Requests that left late, because all clients still waited: their wait is not in the latencies.
    late: int


def build() -> None:
    """Build the image with the load generators."""
    (python,) = base_images(PYTHON_VERSIONS[:1], [])
    docker.from_env().images.build(
        path=str(FOLDER),
        tag=IMAGE,
        buildargs={"PYTHON_IMAGE": python},
        rm=True,
    )


@dataclass(frozen=True)
class Pace:
    """A rate as h2load can open connections at it: some at a time, every so many milliseconds."""

    at_a_time: int
    period_ms: int

    @classmethod
    def within(cls, per_second: float) -> "Pace":
        """Return the highest that is not above a rate, with few at a time."""
        most = max(5, math.ceil(per_second / 1e3))
        paces = [cls(count, math.ceil(1e3 * count / per_second)) for count in range(1, most + 1)]
        return max(paces, key=lambda pace: pace.per_second)

    @property
    def per_second(self) -> float:
        """The rate."""
        return 1e3 * self.at_a_time / self.period_ms


def percentile(latencies: Iterable[float], percent: float) -> float:
    """Return the latency within which so many percent were answered."""
    ordered = sorted(latencies)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def paced(log: str, asked: int, pause_ms: float) -> Paced:
    """Return what h2load's log tells of the requests that were ``asked``.

    A line has when a request was sent, in microseconds, its status and how long it took. A client
    sends one every ``pause_ms``, or as soon as it has the answer if that comes later.
    """
    rows = sorted(tuple(map(int, line.split())) for line in log.splitlines())
    good = [(sent, took / 1e3) for sent, status, took in rows if 200 <= status < 400]
    if not good:
        raise RuntimeError(f"none of {asked} requests was answered")
    began, span = good[0][0], good[-1][0] - good[0][0] + 1
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    for sent, took in good:
        parts[(sent - began) * PARTS // span].append(took)
    latencies = [took for _, took in good]
    return Paced(
        len(good) / span * 1e6,
        percentile(latencies, 50),
        percentile(latencies, 99),
        asked - len(good),
        len(good),
        tuple(percentile(part, 99) for part in parts if part),
        sum(took > pause_ms for took in latencies),
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

    def ask(self, work: Work, seconds: int) -> Outcome:
        """Ask as fast as answers come, each client waiting for its own, for ``seconds``."""
        printed = self._run(
            "wrk",
            f"--connections={work.connections}",
            "--threads=1",
            f"--duration={seconds:g}s",
            "--timeout=10s",
            "--script=/report.lua",
            self.url + work.path,
            "--",
            str(work.body),
            *work.others,
        )
        found = json.loads(printed.splitlines()[-1])
        # wrk counts what is 400 or more; nothing here redirects.
        return Outcome(
            found["requests"] / found["seconds"],
            found["p50_ms"],
            found["p99_ms"],
            found["errors"] if found["requests"] else 1,
            found["requests"],
        )

    def answers(self, work: Work) -> bool:
        """Ask once; say whether that was answered well."""
        printed = self._run("h2load", "--h1", "-c1", "-n1", self.url + work.path)
        return "1 succeeded" in printed

    def keeps_connections(self, work: Work) -> bool:
        """Say whether a connection is kept when it has served a request."""
        return self._run("python", "-c", LOOK, self.url + work.path).strip() == "kept"

    def ask_at(self, work: Work, pace: Pace, seconds: int, *, keep: bool = True) -> Paced:
        """Ask at an even pace, however long answers take.

        Many clients take turns, so that no request waits for the answer to the one before. Without
        ``keep`` each request has a connection of its own: h2load gives up a connection that ends
        without a word, and begins to count time anew after one that ends with it.
        """
        count = math.ceil(pace.per_second * seconds)
        clients = CLIENTS if keep else count
        command = ["h2load", "--h1", f"-c{clients}", f"-n{count}", f"-r{pace.at_a_time}"]
        command += [f"--rate-period={pace.period_ms}ms", "--log-file=/tmp/log"]
        if keep:
            # The clients begin one after the other, and go on at the same distance.
            command.append(f"--rps={pace.per_second / clients:.5f}")
        # h2load adds to its log.
        self._run("rm", "-f", "/tmp/log")  # noqa: S108
        self._run(*command, self.url + work.path)
        log = self._run("cat", "/tmp/log")  # noqa: S108
        return paced(log, count, 1e3 * clients / pace.per_second if keep else math.inf)


@contextmanager
def beside(container: Container, port: int) -> Iterator[Generator]:
    """Yield a generator that shares the network of ``container`` and asks its ``port``."""
    generator = docker.from_env().containers.run(
        IMAGE,
        detach=True,
        init=True,
        network_mode=f"container:{container.id}",
        # h2load opens a file for each connection.
        ulimits=[docker.types.Ulimit(name="nofile", soft=8192, hard=8192)],
    )
    try:
        yield Generator(generator, port)
    finally:
        generator.remove(force=True)
