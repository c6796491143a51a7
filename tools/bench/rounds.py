"""Rounds: each measures everything once, so that a slow minute affects all figures equally."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.lib.stack import run

from .figures import Figure, median
from .load import Outcome, Work
from .noise import Noise, load
from .served import JSON, Deployment

Facts = dict[str, Any]
# The maximum noise in a round: the percentage of CPU time that the host steals, and the load
# average per CPU, of which the bench itself causes one or two. A round with more of either is
# repeated, at most REPEATS times in a run.
NOISY_PERCENT = 5
NOISY_LOAD = 3
REPEATS = 1


@dataclass(frozen=True)
class Step:
    """One measurement in a round: one kind of work, sent to one deployment by one route."""

    name: str
    route: str
    work: Work
    deployment: Deployment
    seconds: int
    # The container to limit to half a CPU during the step, so that no core is a bottleneck.
    limit: Container | None = None
    # A measurement immediately before the step, such as the current speed of the CPU.
    first: Callable[[], Facts] = dict


@dataclass(frozen=True)
class Sample:
    """The result of a step: its outcome, the cost of a response, and the measurement before it."""

    outcome: Outcome
    # Microseconds of CPU time for a response, by part: app, proxy, engine.
    cost: dict[str, float]
    before: Facts


@contextmanager
def half_a_cpu(container: Container | None) -> Iterator[None]:
    """Limit a container to half a CPU."""

    def limit(cpus: float) -> None:
        run(["docker", "update", "--cpus", f"{cpus:.2f}", container.id], cwd=Path(os.sep))

    if container is None:
        yield
        return
    before = container.attrs["HostConfig"]["NanoCpus"] / 1e9
    limit(0.5)
    try:
        yield
    finally:
        limit(before)


def take(step: Step) -> Sample:
    """Measure one step."""
    # The response arrives after those to all earlier requests.
    step.deployment.generator.responds(JSON)
    before = step.first()
    with half_a_cpu(step.limit):
        began = step.deployment.cpu_time()
        outcome = step.deployment.generator.send(step.work, step.seconds)
        ended = step.deployment.cpu_time()
    responses = max(1, outcome.responses)
    return Sample(
        outcome, {part: (us - began[part]) / responses for part, us in ended.items()}, before
    )


@dataclass(frozen=True)
class Round:
    """One round: its samples by name of the work and by route, and the noise during it."""

    samples: dict[tuple[str, str], Sample]
    stolen_percent: float
    load: float

    def noise(self) -> tuple[bool, float, float]:
        """Return a sort key: whether there was too much noise, stolen CPU time, and load."""
        load_per_cpu = self.load / (os.cpu_count() or 1)
        noisy = self.stolen_percent > NOISY_PERCENT or load_per_cpu > NOISY_LOAD
        return noisy, self.stolen_percent, self.load


@dataclass
class Rounds:
    """All rounds. The figures are those of the rounds with the least noise."""

    counted: list[Round]
    # Rounds that were repeated because of noise: only their failed requests count.
    excluded: list[Round] = field(default_factory=list)

    def samples(self, name: str, route: str) -> list[Sample]:
        """Return the samples of one kind of work, one for each round."""
        return [each.samples[name, route] for each in self.counted]

    def rate(self, name: str, route: str) -> Figure:
        """Return the responses per second."""
        return Figure.of(sample.outcome.per_second for sample in self.samples(name, route))

    def cost(self, name: str, route: str) -> dict[str, float]:
        """Return the microseconds of CPU time for a response, by part."""
        found = defaultdict(list)
        for sample in self.samples(name, route):
            for part, us in sample.cost.items():
                found[part].append(us)
        return {part: median(costs, 0) for part, costs in found.items()}

    def errors(self, *routes: str) -> int:
        """Return the number of failed requests of the given routes, or of all routes."""
        return sum(
            sample.outcome.errors
            for each in [*self.counted, *self.excluded]
            for (_, route), sample in each.samples.items()
            if not routes or route in routes
        )

    def summaries(self) -> Facts:
        """Return the summary of each kind of work and route."""
        return {
            f"{name}_{route}": summary([sample.outcome for sample in self.samples(name, route)])
            for name, route in sorted(self.counted[0].samples)
        }

    def noise(self) -> Facts:
        """Return the noise during the rounds, and the number of repeated rounds."""
        return {
            "stolen_percent": [each.stolen_percent for each in self.counted],
            "load": [each.load for each in self.counted],
            "repeated": len(self.excluded),
        }


def summary(outcomes: Sequence[Outcome]) -> Facts:
    """Return the median rate with its interval, the rates of all rounds, errors and latencies."""
    rates = [round(outcome.per_second, 1) for outcome in outcomes]
    value, ends = Figure.of(rates).rounded(1)
    return {
        "per_second": value,
        "interval": ends,
        "rounds": rates,
        "errors": sum(outcome.errors for outcome in outcomes),
        "p50_ms": median((outcome.p50_ms for outcome in outcomes), 2),
        "p99_ms": median((outcome.p99_ms for outcome in outcomes), 2),
    }


def run_rounds(steps: Sequence[Step], count: int, *, repeats: int = REPEATS) -> Rounds:
    """Measure every step in each of ``count`` rounds, in reverse order in every other round.

    This balances the effects of a step's position in the round, such as following heavy work. At
    most ``repeats`` noisy rounds are repeated; then those with the least noise count.
    """
    rounds: list[Round] = []
    while sum(not each.noise()[0] for each in rounds) < count and len(rounds) < count + repeats:
        order = steps if len(rounds) % 2 == 0 else steps[::-1]
        noise = Noise()
        samples = {(step.name, step.route): take(step) for step in order}
        rounds.append(Round(samples, noise.stolen_percent(), load()))
    by_noise = sorted(rounds, key=Round.noise)
    return Rounds(by_noise[:count], by_noise[count:])
