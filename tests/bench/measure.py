"""What is measured of a pair: builds, start and stop, memory, and work in interleaved rounds."""

import gzip
import hashlib
import json
import math
import os
import re
import statistics
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.images import Image

from tests.harness.stack import Stack, run, run_stack
from tests.harness.template import (
    FACTS,
    PYTHON_VERSIONS,
    ROOT,
    Pair,
    base_images,
    has_processes,
)

from .documented import run_documented
from .load import Generator, Outcome, Work, beside
from .turns import stolen, waited

PACKAGE = "measured"
APP = Path(__file__).parent / "app"

JSON = Work("/bench/json", connections=32)
WORKS = {
    "json": JSON,
    "wait": Work("/bench/wait", connections=64),
    "upload": Work("/bench/upload", connections=4, body=1 << 20),
    "stream": Work("/bench/stream", connections=4),
    # These two the proxy answers by itself.
    "static": Work("/static/style.css", connections=32),
    "proxy": Work("/health/proxy", connections=32),
}
MB = 1e6
# Longer than other work: of a second's few requests the slowest hundredth would be two or three.
HALF_SECONDS = 2
# What a host keeps of its virtual machine's CPUs makes the slowest answers slower, so half load is
# asked for again where that is more.
CALM_PERCENT = 2

Facts = dict[str, Any]


def median(values: list[float], digits: int = 3) -> float:
    """Return the middle one, rounded."""
    return round(statistics.median(values), digits)


def duration(action: Callable[[], object]) -> float:
    """Return how many seconds ``action`` took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def generate(template: Path, folder: Path, *answers: str) -> float:
    """Make a project of ``template`` in ``folder``; return how many seconds that took."""
    command = [
        *(sys.executable, "-m", "cookiecutter", template, "--no-input", "--default-config"),
        *("--output-dir", folder, *answers),
    ]
    return duration(lambda: run(command, cwd=folder))


@contextmanager
def project_of(pair: Pair) -> Iterator[tuple[Path, float]]:
    """Yield the pair's project, on the newest Python, and the seconds that its generation took."""
    os.environ.update(BENCH=str(APP), PACKAGE=PACKAGE)
    slug = f"bench-{pair}".replace("_", "-")
    with tempfile.TemporaryDirectory() as folder:
        seconds = generate(
            ROOT,
            Path(folder),
            *(f"project_slug={slug}", f"package_name={PACKAGE}"),
            *(f"wsgi_server={pair.server}", f"proxy={pair.proxy}"),
            f"python_version={PYTHON_VERSIONS[0]}",
        )
        yield Path(folder, slug), round(seconds, 2)


def start(pair: Pair, project: Path) -> AbstractContextManager[Stack]:
    """Start the pair, with the measured views laid over its application."""
    return run_stack(pair, project, project.name, APP / "compose.yaml")


def measure(pair: Pair, rounds: int) -> Facts:
    """Return all that is measured of a pair; docs/performance.md says what each figure is."""
    with project_of(pair) as (project, seconds):
        found = {"rounds": rounds, "generation_s": seconds}
        found |= once("cookiecutter", least_generation)
        found |= once(pair.server, build_times, project)
        with start(pair, project) as stack:
            found |= start_and_stop(stack) | {"idle_memory_mb": memory(stack)}
            found |= figures(work(stack, rounds)) | {"loaded_memory_mb": memory(stack)}
            if has_processes(pair.server):
                found["idle_memory_two_workers_mb"] = memory_of_two_workers(stack)
            found |= once(pair.server, app_sizes, stack) | once(pair.proxy, proxy_sizes, stack)
    return found


def measure_ratios(pair: Pair, rounds: int) -> Facts:
    """Return what does not depend on the machine's speed, and the CPU times, in 10 s a round."""
    with project_of(pair) as (project, _), start(pair, project) as stack:
        done = work(stack, rounds, brief=True)
        return done.ratios() | {
            "cpu_us_per_answer": done.cpu_times(),
            "ceilings_per_second": done.ceilings_per_second(),
        }


# What was found already, by the server or proxy and by what found it.
known: dict[tuple[str, str], Facts] = {}


def once(choice: str, find: Callable[..., Facts], *arguments) -> Facts:
    """Return what ``find`` finds: in each pair with this server or proxy the same."""
    key = choice, find.__name__
    if key not in known:
        known[key] = find(*arguments)
    return known[key]


# --- Building ---


def least_generation() -> Facts:
    """Return the seconds that Cookiecutter takes for a template of a single file."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        project = template / "{{cookiecutter.name}}"
        project.mkdir(parents=True)
        (project / "file").touch()
        (template / "cookiecutter.json").write_text('{"name": "one"}', encoding="utf-8")
        return {"least_generation_s": round(generate(template, Path(folder)), 2)}


def build_times(project: Path) -> Facts:
    """Return the seconds that building the application's image takes, alone and after changes."""

    def build(*arguments: str) -> float:
        command = ["docker", "compose", "build", *arguments, "app"]
        return duration(lambda: run(command, cwd=project))

    def rebuild_after_change(file: str) -> float:
        with (project / file).open("a", encoding="utf-8") as opened:
            opened.write(f"# {time.monotonic_ns()}\n")
        return build()

    cold = build("--no-cache")
    code = [rebuild_after_change(f"src/{PACKAGE}/pages.py") for _ in range(3)]
    return {
        "cold_build_s": round(cold, 2),
        "rebuild_after_code_change_s": median(code, 2),
        "rebuild_after_dependency_change_s": round(rebuild_after_change("requirements.txt"), 2),
    }


def image_of(stack: Stack, service: str) -> Image:
    """Return the newest image of a service."""
    return stack.docker.images.get(stack.container(service).attrs["Config"]["Image"])


def sizes(image: Image, base: str) -> Facts:
    """Return an image's size in MB: as it lies here, above its base, and as pushed."""
    size = image.attrs["Size"]
    above = size - docker.from_env().images.get(base).attrs["Size"]
    return {
        "image_mb": round(size / MB, 1),
        "image_over_base_mb": round(above / MB, 2),
        "image_pushed_mb": round(pushed_size(image) / MB, 1),
    }


def app_sizes(stack: Stack) -> Facts:
    """Return the sizes of the application's image, and of the minimal one, which takes its name."""
    (base,) = base_images(PYTHON_VERSIONS[:1], [])
    found = sizes(image_of(stack, "app"), base)
    if not FACTS["_servers"][stack.pair.server]["debian_packages"]["run"]:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("APP_BASE", "minimal")
            stack.compose("build app")
        found["minimal_image_mb"] = round(image_of(stack, "app").attrs["Size"] / MB, 1)
    return found


def proxy_sizes(stack: Stack) -> Facts:
    """Return the sizes of the proxy's image."""
    (base,) = base_images([], [stack.pair.proxy])
    found = sizes(image_of(stack, "proxy"), base)
    return {f"proxy_{name}": size for name, size in found.items()}


# Sizes of layers by their content: the bases' come again with every pair.
compressed: dict[str, int] = {}


def pushed_size(image: Image) -> int:
    """Return the bytes that a registry stores for an image: its layers, compressed."""
    total = 0
    with tempfile.TemporaryFile() as archive:
        archive.writelines(image.save())
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            (manifest,) = json.load(tar.extractfile("manifest.json"))
            for name in manifest["Layers"]:
                layer = tar.extractfile(name).read()
                digest = hashlib.sha256(layer).hexdigest()
                if digest not in compressed:
                    is_gzip = layer.startswith(b"\x1f\x8b")
                    compressed[digest] = len(layer if is_gzip else gzip.compress(layer, 6))
                total += compressed[digest]
    return total


# --- Starting and stopping ---


def timestamp(text: str) -> float:
    """Return a time of the engine in seconds; it writes nanoseconds, Python reads microseconds."""
    return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", text)).timestamp()


def start_and_stop(stack: Stack) -> Facts:
    """Return how long the whole pair takes to be healthy, and to stop when nothing is asked."""
    starts, stops = [], []
    for _ in range(3):
        stops.append(duration(lambda: stack.compose("stop")))
        stack.start()
        states = [stack.container(service).attrs["State"] for service in ("app", "proxy")]
        began = timestamp(states[0]["StartedAt"])
        # The engine's list of looks goes back to before the stop.
        healthy = [
            min(
                timestamp(look["End"])
                for look in state["Health"]["Log"]
                if not look["ExitCode"] and timestamp(look["Start"]) > began
            )
            for state in states
        ]
        starts.append(max(healthy) - began)
    return {"start_to_healthy_s": median(starts, 2), "idle_stop_s": median(stops, 2)}


def memory_of_two_workers(stack: Stack) -> dict[str, float]:
    """Return what the pair uses when nothing was asked and it has two worker processes."""
    stack.compose("stop")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WEB_CONCURRENCY", "2")
        stack.start()
    return memory(stack)


def memory(stack: Stack) -> dict[str, float]:
    """Return what each container uses, in MB: its cgroup's memory without idle file cache."""
    found = {}
    for service in ("app", "proxy"):
        use = stack.container(service).stats(stream=False, one_shot=True)["memory_stats"]
        found[service] = round((use["usage"] - use["stats"]["inactive_file"]) / MB, 1)
    return found


def cpu_time(stack: Stack) -> dict[str, float]:
    """Return the microseconds of CPU time that each container has had."""
    found = {}
    for service in ("app", "proxy"):
        use = stack.container(service).stats(stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]
        found[service] = use["total_usage"] / 1e3
    return found


# --- Working ---


@contextmanager
def half_a_cpu(container: Container) -> Iterator[None]:
    """Let a container have half a CPU, so that two cores have room for all that works beside it."""

    def limit(cpus: float) -> None:
        run(["docker", "update", "--cpus", f"{cpus:.2f}", container.id], cwd=APP)

    before = container.attrs["HostConfig"]["NanoCpus"] / 1e9
    limit(0.5)
    try:
        yield
    finally:
        limit(before)


def ceilings(app: Container) -> dict[str, float]:
    """Return how often a process could answer in a second, were there no server."""
    status, output = app.exec_run(["python", "ceilings.py", PACKAGE])
    if status:
        raise RuntimeError(output.decode())
    return json.loads(output.decode().splitlines()[-1])


@dataclass
class Rounds:
    """What became of each round, by work and way; and the ceilings meanwhile."""

    outcomes: dict[tuple[str, str], list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # What a small answer cost each container, by work and way.
    costs: dict[tuple[str, str], list[dict[str, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # What is told of half load, by way.
    half: dict[str, Facts] = field(default_factory=dict)
    # Those of the moment before a work was asked for, by work.
    ceilings: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def ratio(self, figure: str, over: tuple[str, str], under: tuple[str, str]) -> float:
        """Return the median of one figure over another of the same round."""
        rounds = zip(self.outcomes[over], self.outcomes[under], strict=True)
        return median([getattr(one, figure) / getattr(other, figure) for one, other in rounds])

    def share(self, ceiling: str) -> float:
        """Return the median of the server's own rate over a ceiling of the same round."""
        rounds = zip(self.outcomes["json", "direct"], self.ceilings["json"], strict=True)
        return median([outcome.per_second / most[ceiling] for outcome, most in rounds])

    def flask_share(self) -> float:
        """Return how much of an answer's CPU time Flask alone takes, called without a server.

        The speed of a machine that others share changes from second to second by a tenth: so each
        cost is compared with the ceiling of the moment before. The mean, because with half a CPU
        an answer costs more: the middle of both kinds would be the least or the most of one.
        """
        looks = [
            (cost["app"], most["flask"])
            for work, ceilings in self.ceilings.items()
            for cost, most in zip(self.costs[work, "direct"], ceilings, strict=True)
        ]
        return round(statistics.mean(1e6 / per_second / us for us, per_second in looks), 3)

    def ceilings_per_second(self) -> Facts:
        """Return the ceilings: answers in a second of CPU time."""
        looks = [each for ceilings in self.ceilings.values() for each in ceilings]
        return {name: median([each[name] for each in looks], 0) for name in looks[0]}

    def errors(self, *ways: str) -> int:
        """Return how many requests failed."""
        found = ((way, outcome) for (_, way), all_ in self.outcomes.items() for outcome in all_)
        return sum(outcome.errors for way, outcome in found if way in ways)

    def ratios(self) -> Facts:
        """Return what does not depend on the machine's speed."""
        return {
            "proxied_over_direct": self.ratio(
                "per_second", ("json", "proxied"), ("json", "direct")
            ),
            "proxied_over_direct_half_a_cpu": self.ratio(
                "per_second", ("room", "proxied"), ("room", "direct")
            ),
            "over_flask_ceiling": self.share("flask"),
            "over_application_ceiling": self.share("application"),
            "flask_share_of_cpu_time": self.flask_share(),
            "errors": self.errors("direct", "proxied"),
        }

    def cpu_times(self) -> Facts:
        """Return the microseconds of CPU time that a small answer cost, by way and container."""
        return {
            way: {name: median([cost[name] for cost in costs], 0) for name in costs[0]}
            for (work, way), costs in self.costs.items()
            if work == "json"
        }


def work(stack: Stack, count: int, *, brief: bool = False) -> Rounds:
    """Ask everything once a round, so that a slower minute slows all that is compared.

    A brief one asks for the small answer only, and nothing of the baseline.
    """
    rounds = Rounds()
    with ExitStack() as exits:
        app = stack.container("app")
        ways = {
            "direct": exits.enter_context(beside(app, 8000)),
            "proxied": exits.enter_context(beside(stack.container("proxy"), 8080)),
        }
        if not brief:
            documented = exits.enter_context(run_documented(stack, PACKAGE))
            ways["documented"] = exits.enter_context(beside(documented, 80))

        def ask(name: str, way: str, how: Callable[[Generator], Outcome]) -> Outcome:
            # Answered once whatever was asked before is done.
            ways[way].ask_in_a_row(JSON, 1)
            rounds.outcomes[name, way].append(how(ways[way]))
            return rounds.outcomes[name, way][-1]

        def ask_small(name: str, way: str) -> Outcome:
            before = cpu_time(stack)
            outcome = ask(name, way, lambda generator: generator.ask(JSON, 1))
            after = cpu_time(stack)
            rounds.costs[name, way].append(
                {service: (us - before[service]) / outcome.answers for service, us in after.items()}
            )
            return outcome

        def ask_at(rate: float, way: str) -> Facts:
            containers = [stack.container(service) for service in ("app", "proxy")]

            def so_far() -> list[float]:
                return [cpu_time(stack)["app"], sum(map(waited, containers)), stolen()]

            ways[way].ask_in_a_row(JSON, 1)  # what is left of other work would count here
            before = so_far()
            outcome = ask("half", way, lambda it: it.ask(JSON, HALF_SECONDS, rate=rate))
            busy, waits, took = (new - old for new, old in zip(so_far(), before, strict=True))
            return summary([outcome]) | {
                "busy_percent": round(busy / 1e4 / HALF_SECONDS, 1),
                "waited_ms": round(waits / outcome.answers, 2),
                "stolen_percent": round(100 * took / HALF_SECONDS / os.cpu_count(), 1),
            }

        def ask_calmly(rate: float, way: str) -> Facts:
            tries = [ask_at(rate, way)]
            while tries[-1]["stolen_percent"] > CALM_PERCENT and len(tries) < 3:
                tries.append(ask_at(rate, way))
            return min(tries, key=lambda found: found["stolen_percent"])

        # Pools of connections and of threads fill; the application's, too, when the proxy asks.
        for name in ways.keys() - {"direct"}:
            ways[name].ask(JSON, 1)
        for _ in range(count):
            rounds.ceilings["json"].append(ceilings(app))
            ask_small("json", "direct")
            # Of what the pair can answer, so that neither way has a queue that only grows.
            half = ask_small("json", "proxied").per_second / 2
            rounds.ceilings["room"].append(ceilings(app))
            with half_a_cpu(app):
                for way in ("direct", "proxied"):
                    ask_small("room", way)
            if brief:
                continue
            ask("json", "documented", lambda generator: generator.ask(JSON, 1))
            if not rounds.outcomes["one", "proxied"]:
                ask("one", "proxied", lambda generator: generator.ask_in_a_row(JSON, 1000))
                # No server takes part in these, so that the pairs of a proxy repeat each other's.
                for name in ("static", "proxy"):
                    ask(name, "proxied", lambda generator, name=name: generator.ask(WORKS[name], 1))
            # What waits comes last: the next to be asked has to wait for the rest of it.
            for way in ("direct", "proxied"):
                for name in ("upload", "stream", "wait"):
                    ask(name, way, lambda generator, name=name: generator.ask(WORKS[name], 1))
        if not brief:
            rounds.half = {way: ask_calmly(half, way) for way in ("direct", "proxied")}
    return rounds


def figures(rounds: Rounds) -> Facts:
    """Return what the page shows of the work."""
    json_proxied = ("json", "proxied")
    return rounds.ratios() | {
        "cpu_us_per_answer": rounds.cpu_times(),
        "over_documentation_baseline": rounds.ratio(
            "per_second", json_proxied, ("json", "documented")
        ),
        "half_load": rounds.half,
        "p99_over_direct_at_half_load": round(
            rounds.half["proxied"]["p99_ms"] / rounds.half["direct"]["p99_ms"], 3
        ),
        "one_connection_p50_ms": rounds.outcomes["one", "proxied"][0].p50_ms,
        "documented_errors": rounds.errors("documented"),
        "ceilings_per_second": rounds.ceilings_per_second(),
        "work": {
            f"{name}_{way}": summary(outcomes)
            for (name, way), outcomes in sorted(rounds.outcomes.items())
            if name != "half"
        },
    }


def summary(outcomes: list[Outcome]) -> Facts:
    """Return the medians of the rounds, with the least and the most answers a second."""
    rates = [outcome.per_second for outcome in outcomes]
    found: Facts = {
        "per_second": median(rates, 1),
        "spread": [round(min(rates), 1), round(max(rates), 1)],
        "errors": sum(outcome.errors for outcome in outcomes),
    }
    for name in ("p50_ms", "p99_ms", "p999_ms"):
        value = median([getattr(outcome, name) for outcome in outcomes], 2)
        if not math.isnan(value):
            found[name] = value
    return found
