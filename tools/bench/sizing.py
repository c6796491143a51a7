"""`make bench-sizing`: measure how a service scales, in half an hour; write docs/scaling.json."""

import json
import resource
import socket
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lib.stack import Stack, prepare_engine
from tests.lib.template import (
    FACTS,
    PAIRS,
    PROXIES,
    PYTHON_VERSIONS,
    ROOT,
    SERVERS,
    Pair,
    has_processes,
    unused,
)
from tools.markdown import table

from ..git import commit
from . import load
from .__main__ import machine as about_machine
from .building import memory
from .figures import median
from .load import load_generator
from .measure import WORKS, project_of, start
from .rounds import Sample, Step, summary, take
from .served import JSON, Deployment

Facts = dict[str, Any]
FILE = ROOT / "docs" / "scaling.json"

ROUNDS = 3
SECONDS = 3
# With a quarter of a CPU, some processes still import the application when the pair is healthy.
WARM_SECONDS = 5
# WEB_CONCURRENCY and WEB_THREADS. The default comes first.
PROCESSES_AND_THREADS = [(2, 8), (1, 4), (2, 2), (2, 4), (4, 1), (4, 4)]
# Quarters of a CPU, so that a small machine has room for four replicas and the load generator.
PARTS = [
    *({"APP_REPLICAS": count, "APP_CPUS": 0.25} for count in (1, 2, 4)),
    *({"APP_REPLICAS": 1, "APP_CPUS": cpus} for cpus in (0.5, 1.0, 2.0)),
]
# Low enough to make the proxy the bottleneck.
PROXY_CPUS = 0.1
IDLE_CONNECTIONS = 1000


@contextmanager
def running(stack: Stack, **settings: float) -> Iterator[Deployment]:
    """Run the stack with these environment variables; yield its deployment, warmed up."""
    with ExitStack() as exits:
        environment = exits.enter_context(pytest.MonkeyPatch.context())
        for name, value in settings.items():
            environment.setenv(name, str(value))
        stack.start()
        generator = exits.enter_context(load_generator(stack.container("proxy"), 8080))
        generator.send(JSON, WARM_SECONDS)
        yield Deployment({each.name: each for each in stack.containers()}, generator)


def alternating(settings: list[Any], rounds: int) -> Iterator[Any]:
    """Yield all settings once in each round, in reverse order in every other round."""
    for number in range(rounds):
        yield from settings if number % 2 == 0 else settings[::-1]


def processes_and_threads(server: str, rounds: int, seconds: int) -> Facts:
    """Return the rates of all kinds of work, by processes and threads, behind the first proxy."""
    pair = Pair(server, PROXIES[0])
    found: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    with project_of(pair) as (project, _), start(pair, project) as stack:
        for processes, threads in alternating(PROCESSES_AND_THREADS, rounds):
            with running(stack, WEB_CONCURRENCY=processes, WEB_THREADS=threads) as deployment:
                for name, work in WORKS.items():
                    outcome = deployment.generator.send(work, seconds)
                    found[f"{processes} x {threads}"][name].append(outcome)
    return {
        setting: {name: summary(outcomes) for name, outcomes in works.items()}
        for setting, works in found.items()
    }


def cpu_us(samples: Iterable[Sample], service: str) -> float:
    """Return the CPU time of a response in all containers of a service, in microseconds."""
    return median(
        (
            sum(us for name, us in sample.cost.items() if f"-{service}-" in name)
            for sample in samples
        ),
        0,
    )


def replicas_and_cpus(proxy: str, rounds: int, seconds: int) -> Facts:
    """Return the rates of the default server, by replicas, its CPUs, and the proxy's CPUs."""
    pair = Pair(SERVERS[0], proxy)
    settings = [*PARTS, {"APP_CPUS": 1.0, "PROXY_CPUS": PROXY_CPUS}]
    found: dict[str, list[Sample]] = defaultdict(list)
    with project_of(pair) as (project, _), start(pair, project) as stack:
        for setting in alternating(settings, rounds):
            with running(stack, **setting) as deployment:
                sample = take(Step("json", "proxied", JSON, deployment, seconds))
            found[" ".join(f"{name}={value:g}" for name, value in setting.items())].append(sample)
        idle = megabytes_of_idle_connections(stack)
    return {
        "rates": {
            setting: summary([sample.outcome for sample in samples])
            | {f"{service}_us": cpu_us(samples, service) for service in ("app", "proxy")}
            for setting, samples in found.items()
        },
        "megabytes_of_idle_connections": idle,
    }


def megabytes_of_idle_connections(stack: Stack) -> float:
    """Return the MB that IDLE_CONNECTIONS, each used once, add to the proxy's memory."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    stack.start()
    before = memory(stack)["proxy"]
    with ExitStack() as exits:
        for _ in range(IDLE_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
            exits.enter_context(connection)
            connection.sendall(b"GET /health/proxy HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        return round(memory(stack)["proxy"] - before, 1)


# --- The page ---


def rates_by_threads(found: Facts) -> str:
    """Return a table for each server: responses per second by processes and threads."""
    parts = []
    for server, settings in found["processes_and_threads"].items():
        head = ["processes x threads", *WORKS]
        rows = [
            [setting, *(f"{works[name]['per_second']:,.0f}" for name in WORKS)]
            for setting, works in settings.items()
        ]
        parts.append(f"### {FACTS['_servers'][server]['title']}\n\n" + "\n".join(table(head, rows)))
    return "\n\n".join(parts)


def rates_by_replicas(found: Facts) -> str:
    """Return a table of responses per second, by replicas and CPUs, with their costs."""
    proxies = found["replicas_and_cpus"]
    head = ["settings"]
    for proxy in proxies:
        title = FACTS["_proxies"][proxy]["title"]
        head += [f"{title}: per second", "application, µs", "proxy, µs"]
    settings = next(iter(proxies.values()))["rates"]
    rows = []
    for setting in settings:
        row = [f"`{setting}`"]
        for measured in proxies.values():
            rate = measured["rates"][setting]
            row.append(f"{rate['per_second']:,.0f}")
            row += [f"{rate[f'{service}_us']:.0f}" for service in ("app", "proxy")]
        rows.append(row)
    return "\n".join(table(head, rows))


def idle_connections(found: Facts) -> str:
    """Return a line about the memory of idle connections."""
    parts = [
        f"{FACTS['_proxies'][proxy]['title']} {measured['megabytes_of_idle_connections']} MB"
        for proxy, measured in found["replicas_and_cpus"].items()
    ]
    return f"{IDLE_CONNECTIONS:,} idle connections use {', '.join(parts)}."


def machine(found: Facts) -> str:
    """Return a sentence about what was measured, where and when."""
    return (
        f"Measured on {found['machine']['cores']} cores ({found['machine']['cpu']}), from commit "
        f"{found['commit']}, on {found['measured']}: medians of {found['rounds']} rounds "
        f"of {found['round_seconds']} s."
    )


def tables(part: str) -> str:
    """Return a part of the page about scaling, generated from the file."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    parts = {
        "threads": rates_by_threads,
        "replicas": rates_by_replicas,
        "idle": idle_connections,
        "machine": machine,
    }
    return parts[part](found)


def new_parser(target: str, description: str, rounds: int, seconds: int) -> ArgumentParser:
    """Return the parser of a command that measures in rounds, with these defaults."""
    parser = ArgumentParser(prog=f"make {target}", description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=int, default=seconds, help="of each figure in a round")
    return parser


def main() -> None:
    """Measure everything; write the file after each part."""
    chosen = new_parser("bench-sizing", __doc__, ROUNDS, SECONDS).parse_args()
    prepare_engine(PYTHON_VERSIONS[:1], PROXIES)
    load.build()
    facts: Facts = {
        "machine": about_machine(),
        "python": PYTHON_VERSIONS[0],
        "commit": commit(),
        "measured": datetime.now(UTC).date().isoformat(),
        "rounds": chosen.rounds,
        "round_seconds": chosen.seconds,
        "processes_and_threads": {},
        "replicas_and_cpus": {},
    }
    with_threads = [
        server
        for server in dict.fromkeys(pair.server for pair in PAIRS)
        if has_processes(server) and not unused(server, "WEB_THREADS")
    ]
    for part, names, measure in (
        ("replicas_and_cpus", PROXIES, replicas_and_cpus),
        ("processes_and_threads", with_threads, processes_and_threads),
    ):
        for name in names:
            facts[part][name] = measure(name, chosen.rounds, chosen.seconds)
            print(f"{part}: {name}", flush=True)
            FILE.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
