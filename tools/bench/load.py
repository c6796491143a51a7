"""Load from a container that shares its target's network, so that traffic uses loopback."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.lib.template import PYTHON_VERSIONS, base_images

# Sends one request, then checks for half a second whether the server closes the connection.
CONNECTION_CHECK = """
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
# The tag is a hash of the content: working trees that share an engine may have different files.
CONTENT = b"".join(file.read_bytes() for file in sorted(FOLDER.iterdir()))
IMAGE = f"flask-sidecar-bench-load:{hashlib.sha256(CONTENT).hexdigest()[:12]}"
# At a fixed rate, at least this many requests may be in flight before one is sent late.
CLIENTS = 64
# Below the 1,000 after which nginx closes a connection (keepalive_requests).
REQUESTS_PER_CONNECTION = 900
# The number of parts of a run at a fixed rate; their latencies make the interval.
PARTS = 5


@dataclass(frozen=True)
class Work:
    """A kind of request, and the number of concurrent clients."""

    path: str
    connections: int
    # Bytes of a body to upload; 0: a GET request.
    body: int = 0
    # Further paths; requests use all paths in turn.
    others: tuple[str, ...] = ()
    # Header fields, such as "Accept-Encoding: gzip".
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of a run; latencies are in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    responses: int


@dataclass(frozen=True)
class Paced(Outcome):
    """The result of a run at a fixed rate, independent of response times."""

    # The 99th percentile of latency in each part of the time.
    p99_ms_of_parts: tuple[float, ...]
    # Requests that were sent late, because their client still waited for an earlier response. The
    # latencies do not include this delay.
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
    """A rate at which h2load can open connections: a number of them at the start of each period."""

    at_a_time: int
    period_ms: int

    @classmethod
    def within(cls, per_second: float) -> "Pace":
        """Return the highest pace that is not above a rate, with few connections at a time."""
        most = max(5, math.ceil(per_second / 1e3))
        paces = [cls(count, math.ceil(1e3 * count / per_second)) for count in range(1, most + 1)]
        return max(paces, key=lambda pace: pace.per_second)

    @property
    def per_second(self) -> float:
        """The number of connections per second."""
        return 1e3 * self.at_a_time / self.period_ms


def percentile(latencies: Iterable[float], percent: float) -> float:
    """Return the percentile of the latencies, by the nearest rank."""
    ordered = sorted(latencies)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def paced(log: str, requests: int, pause_ms: float) -> Paced:
    """Return the results of ``requests`` requests from h2load's log.

    A line has a request's send time, status and duration; times are in microseconds. A client sends
    a request every ``pause_ms``, or when it has the previous response if that arrives later.
    """
    rows = sorted(tuple(map(int, line.split())) for line in log.splitlines())
    good = [(sent, took / 1e3) for sent, status, took in rows if 200 <= status < 400]
    if not good:
        raise RuntimeError(f"none of {requests} requests succeeded")
    began, span = good[0][0], good[-1][0] - good[0][0] + 1
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    for sent, took in good:
        parts[(sent - began) * PARTS // span].append(took)
    latencies = [took for _, took in good]
    return Paced(
        len(good) / span * 1e6,
        percentile(latencies, 50),
        percentile(latencies, 99),
        requests - len(good),
        len(good),
        tuple(percentile(part, 99) for part in parts if part),
        sum(took > pause_ms for took in latencies),
    )


class Generator:
    """Sends requests to one port of a container's loopback interface."""

    def __init__(self, container: Container, port: int) -> None:
        self.container = container
        self.url = f"http://127.0.0.1:{port}"

    def _run(self, *command: str) -> str:
        status, output = self.container.exec_run(list(command))
        text = output.decode()
        if status:
            raise RuntimeError(f"{' '.join(command)}: exit {status}\n{text}")
        return text

    def send(self, work: Work, seconds: int) -> Outcome:
        """Send requests for ``seconds``; each client waits for a response before the next."""
        printed = self._run(
            "wrk",
            f"--connections={work.connections}",
            "--threads=1",
            f"--duration={seconds:g}s",
            "--timeout=10s",
            "--script=/report.lua",
            *(f"--header={header}" for header in work.headers),
            self.url + work.path,
            "--",
            str(work.body),
            *work.others,
        )
        found = json.loads(printed.splitlines()[-1])
        # wrk counts a status of 400 or more as an error; nothing here redirects.
        return Outcome(
            found["requests"] / found["seconds"],
            found["p50_ms"],
            found["p99_ms"],
            found["errors"] if found["requests"] else 1,
            found["requests"],
        )

    def responds(self, work: Work) -> bool:
        """Send one request; return whether it succeeded."""
        printed = self._run("h2load", "--h1", "-c1", "-n1", self.url + work.path)
        return "1 succeeded" in printed

    def keeps_connections(self, work: Work) -> bool:
        """Return whether a connection stays open after a response."""
        return self._run("python", "-c", CONNECTION_CHECK, self.url + work.path).strip() == "kept"

    def send_at(self, work: Work, pace: Pace, seconds: int, *, keep: bool = True) -> Paced:
        """Send requests at an even pace, independent of response times.

        Many clients send in turn, so that no request waits for the previous response. They are so
        many that a proxy closes no connection meanwhile: h2load would not send the rest. Without
        ``keep`` each request has its own connection: h2load abandons a connection that is closed
        without "Connection: close", and restarts its timing after one that is closed with it.
        """
        count = math.ceil(pace.per_second * seconds)
        clients = max(CLIENTS, math.ceil(count / REQUESTS_PER_CONNECTION)) if keep else count
        command = ["h2load", "--h1", f"-c{clients}", f"-n{count}", f"-r{pace.at_a_time}"]
        command += [f"--rate-period={pace.period_ms}ms", "--log-file=/tmp/log"]
        if keep:
            # The clients start one after another, and keep the same interval.
            command.append(f"--rps={pace.per_second / clients:.5f}")
        # h2load appends to its log.
        self._run("rm", "-f", "/tmp/log")  # noqa: S108
        self._run(*command, self.url + work.path)
        log = self._run("cat", "/tmp/log")  # noqa: S108
        return paced(log, count, 1e3 * clients / pace.per_second if keep else math.inf)


@contextmanager
def load_generator(container: Container, port: int) -> Iterator[Generator]:
    """Yield a generator that shares the network of ``container``, for requests to its ``port``."""
    generator = docker.from_env().containers.run(
        IMAGE,
        detach=True,
        init=True,
        network_mode=f"container:{container.id}",
        # h2load needs a file descriptor for each connection.
        ulimits=[docker.types.Ulimit(name="nofile", soft=8192, hard=8192)],
    )
    try:
        yield Generator(generator, port)
    finally:
        generator.remove(force=True)
