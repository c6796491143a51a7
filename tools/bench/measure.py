"""The measurements of a pair, of pairs and alternatives in one run, and of a check."""

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

from .alternatives import ALTERNATIVES
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
from .load import Pace, Paced, Work, load_generator
from .noise import Noise
from .rounds import NOISY_PERCENT, REPEATS, Rounds, Step, run_rounds
from .served import JSON, Deployment, documented, serve

APP = Path(__file__).parent / "app"
Facts = dict[str, Any]

WORKS = {
    "json": JSON,
    "page": Work("/bench/page", connections=32),
    "compute": Work("/bench/compute", connections=32),
    "wait": Work("/bench/wait", connections=64),
    "mix": Work("/bench/compute", connections=64, others=("/bench/wait",)),
}
# The bench measures these once, not in every round.
ONCE = {
    "one_connection": Work("/bench/json", connections=1),
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
def project_of(pair: Pair, template: Path = ROOT, suffix: str = "") -> Iterator[tuple[Path, float]]:
    """Yield the pair's project, on the newest Python, and the seconds that its generation took.

    ``template`` is a checkout of this repository; ``suffix`` is part of the project's name.
    """
    os.environ.update(BENCH=str(APP), PACKAGE=PACKAGE)
    # The name is unique, so that several benches can run on this machine.
    slug = f"bench-{pair}-{os.getpid()}{suffix}".replace("_", "-")
    with tempfile.TemporaryDirectory() as folder:
        seconds = generate(
            template,
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
def routes_of(stack: Stack, *names: str) -> Iterator[dict[str, Deployment]]:
    """Yield a pair's deployment by route: directly to its application, or through its proxy."""
    containers = {service: stack.container(service) for service in ("app", "proxy")}
    ports = {"direct": ("app", 8000), "proxied": ("proxy", 8080)}
    with ExitStack() as exits:
        routes = {}
        for name in names:
            service, port = ports[name]
            generator = exits.enter_context(load_generator(containers[service], port))
            routes[name] = Deployment(containers, generator)
        yield routes


def warm_up(deployments: dict[str, Deployment]) -> None:
    """Send requests for a second, to fill pools of connections and threads."""
    for deployment in deployments.values():
        deployment.generator.send(JSON, 1)


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
        routes_of(stack, "direct", "proxied") as routes,
        serve(stack, documented(stack.pair)) as baseline,
    ):
        deployments = routes | {"documented": baseline}
        warm_up(deployments)
        # The CPU's speed is measured immediately before the responses that are compared with it.
        steps = [
            Step("json", "proxied", JSON, routes["proxied"], seconds, first=lambda: ceilings(app)),
            Step("json", "direct", JSON, routes["direct"], seconds),
            Step("json", "documented", JSON, baseline, seconds),
            *(Step("half_cpu", route, JSON, routes[route], seconds, limit=app) for route in routes),
            *(
                Step(name, "proxied", kind, routes["proxied"], seconds)
                for name, kind in WORKS.items()
                if name != "json"
            ),
        ]
        rounds = run_rounds(steps, count)
        measured_once = [("one_connection", "proxied"), ("static", "proxied"), ("proxy", "proxied")]
        # The view that waits is last, because a step after it would wait for its open requests.
        measured_once += [(name, route) for name in ("upload", "stream") for route in routes]
        measured_once.append(("wait", "direct"))
        single = run_rounds(
            [
                Step(name, route, (WORKS | ONCE)[name], routes[route], min(seconds, ONCE_SECONDS))
                for name, route in measured_once
            ],
            1,
            repeats=0,
        )
        half = half_load(routes, rounds.rate("json", "proxied").median / 2, seconds)
    latencies = {route: Figure(*latency_of(outcome)) for route, (outcome, _) in half.items()}
    return {
        "rounds": count,
        "round_seconds": seconds,
        "noise": rounds.noise(),
        "one_connection_p50_ms": single.samples("one_connection", "proxied")[0].outcome.p50_ms,
        "half_load": {route: as_json(outcome, noise) for route, (outcome, noise) in half.items()},
        "errors": rounds.errors("direct", "proxied")
        + single.errors()
        + sum(outcome.errors for outcome, _ in half.values()),
        "documented_errors": rounds.errors("documented"),
        **costs(rounds),
        **with_intervals(
            **ratios(rounds),
            **relative_costs(rounds),
            p99_over_direct_at_half_load=latencies["proxied"] / latencies["direct"],
        ),
        "work": single.summaries() | rounds.summaries(),
    }


def with_intervals(**ratios: Figure) -> Facts:
    """Return the ratios and their intervals, as the file has them."""
    found: Facts = {"intervals": {}}
    for name, figure in ratios.items():
        found[name], found["intervals"][name] = figure.rounded()
    return found


def relative_costs(rounds: Rounds) -> dict[str, Figure]:
    """Return the cost of a response relative to that of Flask alone at the same time.

    The speed of a shared CPU changes by 10 % from second to second, so the microseconds of two
    runs cannot be compared; these figures can.
    """
    samples = rounds.samples("json", "proxied")
    return {
        # Application, proxy and engine, relative to Flask called without a server.
        "cost_over_flask": Figure.of(
            sum(sample.cost.values()) * sample.before["flask"] / 1e6 for sample in samples
        ),
        # The generated application relative to Flask, both called without a server.
        "application_over_flask": Figure.of(
            sample.before["flask"] / sample.before["application"] for sample in samples
        ),
    }


def ratios(rounds: Rounds) -> dict[str, Figure]:
    """Return the ratios of a pair's rates to each other, to the baseline and to the ceiling."""
    rate = rounds.rate
    return {
        "over_documentation_baseline": rate("json", "proxied") / rate("json", "documented"),
        "proxied_over_direct": rate("json", "proxied") / rate("json", "direct"),
        "proxied_over_direct_half_a_cpu": rate("half_cpu", "proxied") / rate("half_cpu", "direct"),
        "over_flask_ceiling": rate("json", "direct")
        / Figure.of(sample.before["flask"] for sample in rounds.samples("json", "proxied")),
    }


def costs(rounds: Rounds) -> Facts:
    """Return the CPU time of small responses, and the calls per second of CPU time."""
    ceilings_of_rounds = [sample.before for sample in rounds.samples("json", "proxied")]
    return {
        "cpu_us_per_response": {
            route: rounds.cost("json", route) for route in ("direct", "proxied", "documented")
        },
        "ceilings_per_second": {
            name: round(statistics.median(found[name] for found in ceilings_of_rounds))
            for name in ceilings_of_rounds[0]
        },
    }


# --- Half load ---


def latency_of(outcome: Paced) -> tuple[float, float, float]:
    """Return the p99 latency of a run, and its minimum and maximum in the parts of the run."""
    return outcome.p99_ms, min(outcome.p99_ms_of_parts), max(outcome.p99_ms_of_parts)


def half_load(
    routes: dict[str, Deployment], rate: float, seconds: int
) -> dict[str, tuple[Paced, Facts]]:
    """Send ``rate`` requests per second by each route; return the outcomes and the noise."""
    pace = Pace.within(rate)
    duration = HALF_LOAD_STEPS * seconds
    keep = {route: one.generator.keeps_connections(JSON) for route, one in routes.items()}

    def send(route: str) -> tuple[Paced, Facts]:
        deployment = routes[route]
        # The response arrives after those to all earlier requests.
        deployment.generator.responds(JSON)
        before, noise = deployment.cpu_time(), Noise()
        outcome = deployment.generator.send_at(JSON, pace, duration, keep=keep[route])
        busy = deployment.cpu_time()["app"] - before["app"]
        return outcome, {
            "busy_percent": round(busy / 1e4 / duration, 1),
            "stolen_percent": noise.stolen_percent(),
        }

    def least_noisy(route: str) -> tuple[Paced, Facts]:
        tries = [send(route)]
        while tries[-1][1]["stolen_percent"] > NOISY_PERCENT and len(tries) <= REPEATS:
            tries.append(send(route))
        return min(tries, key=lambda found: found[1]["stolen_percent"])

    return {route: least_noisy(route) for route in routes}


def as_json(outcome: Paced, noise: Facts) -> Facts:
    """Return the figures of half load, as the file has them."""
    return {
        "per_second": round(outcome.per_second, 1),
        "p50_ms": round(outcome.p50_ms, 2),
        "p99_ms": round(outcome.p99_ms, 2),
        "p99_interval": [round(end, 2) for end in latency_of(outcome)[1:]],
        "errors": outcome.errors,
        "late": outcome.late,
    } | noise


# --- Comparison with the alternatives in one run ---


def measure_alternatives(rounds: int, seconds: int) -> Facts:
    """Return the rates of the alternatives and of two pairs, measured in one run."""
    pairs = {"default": PAIRS[0], "granian": Pair("granian", "nginx")}
    needed = dict.fromkeys([*pairs.values(), *(one.pair for one in ALTERNATIVES.values())])
    with ExitStack() as exits:
        stacks = {}
        for pair in needed:
            project, _ = exits.enter_context(project_of(pair))
            stacks[pair] = exits.enter_context(start(pair, project))
        servers = {
            str(pair): exits.enter_context(routes_of(stacks[pair], "proxied"))["proxied"]
            for pair in pairs.values()
        }
        servers |= {
            name: exits.enter_context(serve(stacks[one.pair], one.setup))
            for name, one in ALTERNATIVES.items()
        }
        warm_up(servers)
        default, granian = map(str, pairs.values())
        servers_by_work = {
            "json": list(servers),
            "page": [default, granian, "flask-documentation", "tiangolo"],
            "wait": [default, "flask-documentation"],
        }
        steps = [(work, server) for work, names in servers_by_work.items() for server in names]
        measured = run_rounds(
            [Step(work, server, WORKS[work], servers[server], seconds) for work, server in steps],
            rounds,
        )
    return {
        "rounds": rounds,
        "round_seconds": seconds,
        # In the file, because they contain the number of CPUs of the measured machine.
        "titles": {name: one.title for name, one in ALTERNATIVES.items()},
        "errors": {server: measured.errors(server) for server in servers},
        "cpu_us_per_response": {
            f"{work}_{server}": measured.cost(work, server) for work, server in steps
        },
        "noise": measured.noise(),
        "work": measured.summaries(),
    }


# --- A check ---

CHECK_SECONDS = 3


def measure_cost(pair: Pair, rounds: int, seconds: int = CHECK_SECONDS) -> Facts:
    """Return the cost of a pair's response; each round takes about 6 s."""
    with project_of(pair) as (project, _), start(pair, project) as stack:
        app = stack.container("app")
        with routes_of(stack, "proxied") as routes:
            warm_up(routes)
            small = Step(
                "json", "proxied", JSON, routes["proxied"], seconds, first=lambda: ceilings(app)
            )
            measured = run_rounds([small], rounds)
    return with_intervals(**relative_costs(measured)) | {
        "errors": measured.errors(),
        "cpu_us_per_response": measured.cost("json", "proxied"),
    }
