"""The measurements of a pair, of all pairs and baselines in one run, and of a check."""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.lib.stack import Stack, run_stack
from tests.lib.template import PAIRS, PYTHON_VERSIONS, ROOT, Pair, has_processes, unused

from .building import (
    PACKAGE,
    app_sizes,
    build_times,
    generate,
    least_generation,
    memory,
    once,
    proxy_sizes,
    start_and_stop,
)
from .figures import Figure
from .load import Pace, Paced, Work, beside
from .neighbours import NEIGHBOURS
from .noise import Noise
from .rounds import NOISY_PERCENT, REPEATS, Rounds, Step, play
from .served import JSON, Contestant, documented, serve

APP = Path(__file__).parent / "app"
Facts = dict[str, Any]

WORKS = {
    "json": JSON,
    "page": Work("/bench/page", connections=32),
    "compute": Work("/bench/compute", connections=32),
    "wait": Work("/bench/wait", connections=64),
    "mix": Work("/bench/compute", connections=64, others=("/bench/wait",)),
}
# These are measured once, not in every round.
ONCE = {
    "one": Work("/bench/json", connections=1),
    "upload": Work("/bench/upload", connections=4, body=1 << 20),
    "stream": Work("/bench/stream", connections=4),
    # The proxy responds to these two without the application.
    "static": Work("/static/style.css", connections=32),
    "proxy": Work("/health/proxy", connections=32),
}
ONCE_SECONDS = 2
# The duration of half load, as a multiple of a step in a round: 30 s.
HALF_LOAD_STEPS = 6


@contextmanager
def project_of(pair: Pair) -> Iterator[tuple[Path, float]]:
    """Yield the pair's project, on the newest Python, and the seconds that its generation took."""
    os.environ.update(BENCH=str(APP), PACKAGE=PACKAGE)
    # The name is unique, so that several benches can run on this machine.
    slug = f"bench-{pair}-{os.getpid()}".replace("_", "-")
    with tempfile.TemporaryDirectory() as folder:
        seconds = generate(
            ROOT,
            Path(folder),
            *(f"project_slug={slug}", f"package_name={PACKAGE}"),
            *(f"wsgi_server={pair.server}", f"proxy={pair.proxy}"),
            f"python_version={PYTHON_VERSIONS[0]}",
        )
        project = Path(folder, slug)
        # All load comes from one address, and open connections of a step count in the next step.
        (project / ".env").write_text("CONNECTIONS_PER_CLIENT=512\n", encoding="utf-8")
        yield project, round(seconds, 2)


def start(pair: Pair, project: Path) -> AbstractContextManager[Stack]:
    """Start the pair, with the measured views mounted into its application."""
    return run_stack(pair, project, project.name, APP / "compose.yaml")


@contextmanager
def ways_of(stack: Stack, *names: str) -> Iterator[dict[str, Contestant]]:
    """Yield the contestants of a pair: its application directly, and through its proxy."""
    containers = {service: stack.container(service) for service in ("app", "proxy")}
    ports = {"direct": ("app", 8000), "proxied": ("proxy", 8080)}
    with ExitStack() as exits:
        ways = {}
        for name in names:
            service, port = ports[name]
            generator = exits.enter_context(beside(containers[service], port))
            ways[name] = Contestant(containers, generator)
        yield ways


def warm(contestants: dict[str, Contestant]) -> None:
    """Send requests for a second, to fill pools of connections and threads."""
    for contestant in contestants.values():
        contestant.generator.ask(JSON, 1)


def processes_and_threads(app: Container, server: str) -> Facts:
    """Return the numbers of both, from the variables that server/start.py set for the server.

    The number of threads is None if each request has a greenlet.
    """
    # PID 1 is an init process, whose child has the settings; this shell does not have them.
    _, output = app.exec_run(["sh", "-c", "cat /proc/[0-9]*/environ"])
    settings = dict(line.partition("=")[::2] for line in output.decode().split("\0"))
    return {
        "processes": int(settings["WEB_CONCURRENCY"]) if has_processes(server) else 1,
        "threads": None if unused(server, "WEB_THREADS") else int(settings["WEB_THREADS"]),
    }


def ceilings(app: Container) -> dict[str, float]:
    """Return the calls per second of CPU time that a process can handle without a server."""
    status, output = app.exec_run(["python", "ceilings.py", PACKAGE])
    if status:
        raise RuntimeError(output.decode())
    return json.loads(output.decode().splitlines()[-1])


# --- A pair ---


def measure(pair: Pair, rounds: int, seconds: int) -> Facts:
    """Return all measurements of a pair; docs/performance.md describes each figure."""
    with project_of(pair) as (project, took):
        found = {"generation_s": took}
        found |= once("cookiecutter", least_generation)
        found |= once(pair.server, build_times, project)
        with start(pair, project) as stack:
            found |= start_and_stop(stack) | {"idle_memory_mb": memory(stack)}
            found |= processes_and_threads(stack.container("app"), pair.server)
            found |= work(stack, rounds, seconds) | {"loaded_memory_mb": memory(stack)}
            found |= once(pair.server, app_sizes, stack) | once(pair.proxy, proxy_sizes, stack)
    return found


def work(stack: Stack, count: int, seconds: int) -> Facts:
    """Measure all kinds of work for the pair and its baseline; return the figures."""
    app = stack.container("app")
    with (
        ways_of(stack, "direct", "proxied") as ways,
        serve(stack, documented(stack.pair)) as baseline,
    ):
        everyone = ways | {"documented": baseline}
        warm(everyone)
        # The CPU's speed is measured right before the responses that are compared with it.
        steps = [
            Step("json", "proxied", JSON, ways["proxied"], seconds, first=lambda: ceilings(app)),
            Step("json", "direct", JSON, ways["direct"], seconds),
            Step("json", "documented", JSON, baseline, seconds),
            *(Step("room", way, JSON, ways[way], seconds, held=app) for way in ways),
            *(
                Step(name, "proxied", asked, ways["proxied"], seconds)
                for name, asked in WORKS.items()
                if name != "json"
            ),
        ]
        rounds = play(steps, count)
        singles = [("one", "proxied"), ("static", "proxied"), ("proxy", "proxied")]
        # The view that waits comes last: the next step would have to wait for its open requests.
        singles += [(name, way) for name in ("upload", "stream") for way in ways]
        singles.append(("wait", "direct"))
        alone = play(
            [
                Step(name, way, (WORKS | ONCE)[name], ways[way], min(seconds, ONCE_SECONDS))
                for name, way in singles
            ],
            1,
            repeats=0,
        )
        half = half_load(ways, rounds.rate("json", "proxied").median / 2, seconds)
    latencies = {way: Figure(*latency_of(outcome)) for way, (outcome, _) in half.items()}
    return {
        "rounds": count,
        "round_seconds": seconds,
        "noise": rounds.noise(),
        "one_connection_p50_ms": alone.samples("one", "proxied")[0].outcome.p50_ms,
        "half_load": {way: told(outcome, noise) for way, (outcome, noise) in half.items()},
        "errors": rounds.errors("direct", "proxied")
        + alone.errors()
        + sum(outcome.errors for outcome, _ in half.values()),
        "documented_errors": rounds.errors("documented"),
        **costs(rounds),
        **compared(
            **ratios(rounds),
            **weighed(rounds),
            p99_over_direct_at_half_load=latencies["proxied"] / latencies["direct"],
        ),
        "work": alone.told() | rounds.told(),
    }


def compared(**ratios: Figure) -> Facts:
    """Return the ratios and their intervals in the form in which they are recorded."""
    found: Facts = {"intervals": {}}
    for name, figure in ratios.items():
        found[name], found["intervals"][name] = figure.told()
    return found


def weighed(rounds: Rounds) -> dict[str, Figure]:
    """Return the cost of a response relative to that of Flask alone at the same moment.

    The speed of a shared CPU changes by a tenth from second to second, so the microseconds of two
    runs cannot be compared; these figures can.
    """
    samples = rounds.samples("json", "proxied")
    return {
        # Application, proxy and engine, over Flask called without a server.
        "cost_over_flask": Figure.of(
            sum(sample.cost.values()) * sample.before["flask"] / 1e6 for sample in samples
        ),
        # The generated application over Flask, both called without a server.
        "application_over_flask": Figure.of(
            sample.before["flask"] / sample.before["application"] for sample in samples
        ),
    }


def ratios(rounds: Rounds) -> dict[str, Figure]:
    """Return the ratios of a pair's rates to each other, to its baseline's and to the ceiling."""
    rate = rounds.rate
    return {
        "over_documentation_baseline": rate("json", "proxied") / rate("json", "documented"),
        "proxied_over_direct": rate("json", "proxied") / rate("json", "direct"),
        "proxied_over_direct_half_a_cpu": rate("room", "proxied") / rate("room", "direct"),
        "over_flask_ceiling": rate("json", "direct")
        / Figure.of(sample.before["flask"] for sample in rounds.samples("json", "proxied")),
    }


def costs(rounds: Rounds) -> Facts:
    """Return the CPU time of small responses, and the calls per second of CPU time."""
    looks = [sample.before for sample in rounds.samples("json", "proxied")]
    return {
        "cpu_us_per_answer": {
            way: rounds.cost("json", way) for way in ("direct", "proxied", "documented")
        },
        "ceilings_per_second": {
            name: round(statistics.median(look[name] for look in looks)) for name in looks[0]
        },
    }


# --- Half load ---


def latency_of(outcome: Paced) -> tuple[float, float, float]:
    """Return the p99 latency of a run, and its minimum and maximum in the parts of the run."""
    return outcome.p99_ms, min(outcome.p99_ms_of_parts), max(outcome.p99_ms_of_parts)


def half_load(
    ways: dict[str, Contestant], rate: float, seconds: int
) -> dict[str, tuple[Paced, Facts]]:
    """Send ``rate`` requests per second to each way in turn; return the outcomes and the noise."""
    pace = Pace.within(rate)
    keep = {way: one.generator.keeps_connections(JSON) for way, one in ways.items()}

    def ask(way: str) -> tuple[Paced, Facts]:
        contestant = ways[way]
        # The response arrives when all earlier requests are done.
        contestant.generator.answers(JSON)
        before, noise = contestant.cpu_time(), Noise()
        outcome = contestant.generator.ask_at(JSON, pace, HALF_LOAD_STEPS * seconds, keep=keep[way])
        busy = contestant.cpu_time()["app"] - before["app"]
        return outcome, {
            "busy_percent": round(busy / 1e4 / (HALF_LOAD_STEPS * seconds), 1),
            "stolen_percent": noise.stolen_percent(),
        }

    def ask_calmly(way: str) -> tuple[Paced, Facts]:
        tries = [ask(way)]
        while tries[-1][1]["stolen_percent"] > NOISY_PERCENT and len(tries) <= REPEATS:
            tries.append(ask(way))
        return min(tries, key=lambda found: found[1]["stolen_percent"])

    return {way: ask_calmly(way) for way in ways}


def told(outcome: Paced, noise: Facts) -> Facts:
    """Return the figures of half load in the form in which they are recorded."""
    return {
        "per_second": round(outcome.per_second, 1),
        "p50_ms": round(outcome.p50_ms, 2),
        "p99_ms": round(outcome.p99_ms, 2),
        "p99_interval": [round(end, 2) for end in latency_of(outcome)[1:]],
        "errors": outcome.errors,
        "late": outcome.late,
    } | noise


# --- Comparison with the neighbours in one run ---


def side_by_side(rounds: int, seconds: int) -> Facts:
    """Return the rates of the neighbours and of the pairs compared with them, from one run."""
    ours = {"default": PAIRS[0], "granian": Pair("granian", "nginx")}
    needed = dict.fromkeys([*ours.values(), *(one.pair for one in NEIGHBOURS.values())])
    with ExitStack() as exits:
        stacks = {}
        for pair in needed:
            project, _ = exits.enter_context(project_of(pair))
            stacks[pair] = exits.enter_context(start(pair, project))
        answering = {
            str(pair): exits.enter_context(ways_of(stacks[pair], "proxied"))["proxied"]
            for pair in ours.values()
        }
        answering |= {
            name: exits.enter_context(serve(stacks[one.pair], one.way))
            for name, one in NEIGHBOURS.items()
        }
        warm(answering)
        default, granian = map(str, ours.values())
        asked = {
            "json": list(answering),
            "page": [default, granian, "flask-documentation", "tiangolo"],
            "wait": [default, "flask-documentation"],
        }
        played = play(
            [
                Step(name, way, WORKS[name], answering[way], seconds)
                for name, ways in asked.items()
                for way in ways
            ],
            rounds,
        )
    return {
        "rounds": rounds,
        "round_seconds": seconds,
        # Recorded, because they contain the number of CPUs of the machine that was measured.
        "titles": {name: one.title for name, one in NEIGHBOURS.items()},
        "errors": {way: played.errors(way) for way in answering},
        "cpu_us_per_answer": {
            f"{name}_{way}": played.cost(name, way) for name, ways in asked.items() for way in ways
        },
        "noise": played.noise(),
        "work": played.told(),
    }


# --- A check ---

CHECK_SECONDS = 3


def measure_cost(pair: Pair, rounds: int, seconds: int = CHECK_SECONDS) -> Facts:
    """Return the cost of a pair's response; each round takes about 6 s."""
    with project_of(pair) as (project, _), start(pair, project) as stack:
        app = stack.container("app")
        with ways_of(stack, "proxied") as ways:
            warm(ways)
            small = Step(
                "json", "proxied", JSON, ways["proxied"], seconds, first=lambda: ceilings(app)
            )
            played = play([small], rounds)
    return compared(**weighed(played)) | {
        "errors": played.errors(),
        "cpu_us_per_answer": played.cost("json", "proxied"),
    }
