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

from tests.harness.stack import Stack, run, run_stack
from tests.harness.template import FACTS, PYTHON_VERSIONS, ROOT, Pair, base_images, generate

from .documented import run_documented
from .load import Generator, Outcome, Work, beside

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

Facts = dict[str, Any]


def median(values: list[float], digits: int = 3) -> float:
    """Return the middle one, rounded."""
    return round(statistics.median(values), digits)


def duration(action: Callable[[], object]) -> float:
    """Return how many seconds ``action`` took."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


@contextmanager
def project_of(pair: Pair) -> Iterator[Path]:
    """Yield the pair's generated project, on the newest Python."""
    os.environ.update(BENCH=str(APP), PACKAGE=PACKAGE)
    with tempfile.TemporaryDirectory() as folder:
        yield generate(
            Path(folder),
            project_slug=f"bench-{pair}".replace("_", "-"),
            package_name=PACKAGE,
            wsgi_server=pair.server,
            proxy=pair.proxy,
            python_version=PYTHON_VERSIONS[0],
        )


def start(pair: Pair, project: Path) -> AbstractContextManager[Stack]:
    """Start the pair, with the measured views laid over its application."""
    return run_stack(pair, project, project.name, APP / "compose.yaml")


def measure(pair: Pair, rounds: int) -> Facts:
    """Return all that is measured of a pair; docs/performance.md says what each figure is."""
    with project_of(pair) as project:
        found = {"generation_s": generation_time()} | build_times(project)
        with start(pair, project) as stack:
            found |= sizes(stack) | start_and_stop(stack) | {"idle_memory_mb": memory(stack)}
            found |= figures(work(stack, rounds)) | {"loaded_memory_mb": memory(stack)}
            found["idle_memory_two_workers_mb"] = memory_of_two_workers(stack)
    return found


def measure_ratios(pair: Pair, rounds: int) -> Facts:
    """Return, in a minute, only what does not depend on the machine's speed."""
    with project_of(pair) as project, start(pair, project) as stack:
        return work(stack, rounds, brief=True).ratios()


# --- Building ---


def generation_time() -> float:
    """Return the seconds that the command line takes to generate a project."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "--output-dir", folder, ROOT]
        return round(duration(lambda: run(command, cwd=Path(folder))), 2)


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


def sizes(stack: Stack) -> Facts:
    """Return the images' sizes in MB: as they lie here, above their base, and as pushed."""
    engine = docker.from_env()
    bases = base_images([PYTHON_VERSIONS[0]], [stack.pair.proxy])
    found: Facts = {}
    for prefix, service, base in zip(("", "proxy_"), ("app", "proxy"), bases, strict=True):
        image = engine.images.get(stack.container(service).attrs["Config"]["Image"])
        size = image.attrs["Size"]
        found |= {
            f"{prefix}image_mb": round(size / MB, 1),
            f"{prefix}image_over_base_mb": round(
                (size - engine.images.get(base).attrs["Size"]) / MB, 2
            ),
            f"{prefix}image_pushed_mb": round(pushed_size(image) / MB, 1),
        }
    if not FACTS["_servers"][stack.pair.server]["run_packages"]:
        # The layers that both have are there already.
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("APP_BASE", "minimal")
            stack.compose("build app")
            minimal = engine.images.get(stack.container("app").attrs["Config"]["Image"])
        stack.compose("build app")
        found["minimal_image_mb"] = round(minimal.attrs["Size"] / MB, 1)
    return found


# Sizes of layers by their content: the bases' come again with every pair.
compressed: dict[str, int] = {}


def pushed_size(image: docker.models.images.Image) -> int:
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
    """Return what the pair uses when nothing is asked and it has two worker processes."""
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


# --- Working ---


def ceilings(app: Container) -> dict[str, float]:
    """Return how often a process could answer in a second, were there no server."""
    status, output = app.exec_run(["python", "ceilings.py", PACKAGE])
    if status:
        raise RuntimeError(output.decode())
    return json.loads(output.decode().splitlines()[-1])


@dataclass
class Rounds:
    """What became of each round, by work and way; and the ceilings at that moment."""

    outcomes: dict[tuple[str, str], list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ceilings: list[dict[str, float]] = field(default_factory=list)

    def ratio(self, figure: str, over: tuple[str, str], under: tuple[str, str]) -> float:
        """Return the median of one figure over another of the same round."""
        rounds = zip(self.outcomes[over], self.outcomes[under], strict=True)
        return median([getattr(one, figure) / getattr(other, figure) for one, other in rounds])

    def share(self, ceiling: str) -> float:
        """Return the median of the server's own rate over a ceiling of the same round."""
        rounds = zip(self.outcomes["json", "direct"], self.ceilings, strict=True)
        return median([outcome.per_second / most[ceiling] for outcome, most in rounds])

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
            "over_flask_ceiling": self.share("flask"),
            "over_application_ceiling": self.share("application"),
            "errors": self.errors("direct", "proxied"),
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

        for way in ways.values():
            way.ask(JSON, 1)  # pools of connections and of threads fill
        for _ in range(count):
            rounds.ceilings.append(ceilings(app))
            for way in ways:
                ask("json", way, lambda generator: generator.ask(JSON, 1))
            if brief:
                continue
            half = rounds.outcomes["json", "direct"][-1].per_second / 2
            for way in ("direct", "proxied"):
                ask("half", way, lambda generator, half=half: generator.ask_at_rate(JSON, half, 1))
                for name in ("upload", "stream", "wait"):
                    ask(name, way, lambda generator, name=name: generator.ask(WORKS[name], 1))
            ask("one", "proxied", lambda generator: generator.ask_in_a_row(JSON, 1000))
            for name in ("static", "proxy"):
                ask(name, "proxied", lambda generator, name=name: generator.ask(WORKS[name], 1))
    return rounds


def figures(rounds: Rounds) -> Facts:
    """Return what the page shows of the work."""
    json_proxied = ("json", "proxied")
    return rounds.ratios() | {
        "over_documentation_baseline": rounds.ratio(
            "per_second", json_proxied, ("json", "documented")
        ),
        "p99_over_direct_at_half_load": rounds.ratio(
            "p99_ms", ("half", "proxied"), ("half", "direct")
        ),
        "one_connection_p50_ms": median(
            [outcome.p50_ms for outcome in rounds.outcomes["one", "proxied"]], 2
        ),
        "documented_errors": rounds.errors("documented"),
        "ceilings_per_second": {
            name: median([ceiling[name] for ceiling in rounds.ceilings], 0)
            for name in rounds.ceilings[0]
        },
        "work": {
            f"{name}_{way}": summary(outcomes)
            for (name, way), outcomes in sorted(rounds.outcomes.items())
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
