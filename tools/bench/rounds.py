"""Rounds that measure everything once, so that a slow minute affects all measurements alike."""

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
from .served import JSON, Contestant

Facts = dict[str, Any]
# The maximum noise in a round: the CPU time that the host of a virtual machine steals, and the load
# average per CPU, of which the bench itself causes one or two. A round with more of either is
# repeated, at most REPEATS times in a run.
NOISY_PERCENT = 5
NOISY_LOAD = 3
REPEATS = 1


@dataclass(frozen=True)
class Step:
    """One measurement in a round: one kind of work, done by one contestant."""

    work: str
    way: str
    asked: Work
    contestant: Contestant
    seconds: int
    # The container that is limited to half a CPU meanwhile, which leaves CPU time for all others.
    held: Container | None = None
    # A measurement just before the step, such as the current speed of the CPU.
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
    # The response arrives when all earlier requests are done.
    step.contestant.generator.answers(JSON)
    before = step.first()
    with half_a_cpu(step.held):
        began = step.contestant.cpu_time()
        outcome = step.contestant.generator.ask(step.asked, step.seconds)
        ended = step.contestant.cpu_time()
    answers = max(1, outcome.answers)
    return Sample(
        outcome, {part: (us - began[part]) / answers for part, us in ended.items()}, before
    )


@dataclass(frozen=True)
class Round:
    """One round: its samples by work and way, and the noise during it."""

    samples: dict[tuple[str, str], Sample]
    stolen_percent: float
    load: float

    def noise(self) -> tuple[bool, float, float]:
        """Return a sort key: whether there was too much noise, stolen CPU time, and load."""
        load_of_each = self.load / (os.cpu_count() or 1)
        noisy = self.stolen_percent > NOISY_PERCENT or load_of_each > NOISY_LOAD
        return noisy, self.stolen_percent, self.load


@dataclass
class Rounds:
    """All rounds, of which those with the least noise count."""

    counted: list[Round]
    # Rounds that were repeated because of noise: only their failures count.
    left_out: list[Round] = field(default_factory=list)

    def samples(self, work: str, way: str) -> list[Sample]:
        """Return the samples of one kind of work, one for each round."""
        return [each.samples[work, way] for each in self.counted]

    def rate(self, work: str, way: str) -> Figure:
        """Return the responses per second."""
        return Figure.of(sample.outcome.per_second for sample in self.samples(work, way))

    def cost(self, work: str, way: str) -> dict[str, float]:
        """Return the microseconds of CPU time for a response, by part."""
        found = defaultdict(list)
        for sample in self.samples(work, way):
            for part, us in sample.cost.items():
                found[part].append(us)
        return {part: median(costs, 0) for part, costs in found.items()}

    def errors(self, *ways: str) -> int:
        """Return the number of failed requests of the given ways, or of all ways."""
        return sum(
            sample.outcome.errors
            for each in [*self.counted, *self.left_out]
            for (_, way), sample in each.samples.items()
            if not ways or way in ways
        )

    def told(self) -> Facts:
        """Return the summary of each work and way."""
        return {
            f"{work}_{way}": summary([sample.outcome for sample in self.samples(work, way)])
            for work, way in sorted(self.counted[0].samples)
        }

    def noise(self) -> Facts:
        """Return the noise during the rounds, and the number of repeated rounds."""
        return {
            "stolen_percent": [each.stolen_percent for each in self.counted],
            "load": [each.load for each in self.counted],
            "repeated": len(self.left_out),
        }


def summary(outcomes: Sequence[Outcome]) -> Facts:
    """Return the median rate with its interval, the rates of all rounds, errors and latencies."""
    rates = [round(outcome.per_second, 1) for outcome in outcomes]
    value, ends = Figure.of(rates).told(1)
    return {
        "per_second": value,
        "interval": ends,
        "rounds": rates,
        "errors": sum(outcome.errors for outcome in outcomes),
        "p50_ms": median((outcome.p50_ms for outcome in outcomes), 2),
        "p99_ms": median((outcome.p99_ms for outcome in outcomes), 2),
    }


def play(steps: Sequence[Step], count: int, *, repeats: int = REPEATS) -> Rounds:
    """Measure every step in each of ``count`` rounds, in reverse order in every other round.

    This balances the effects of a step's position in the round, such as following heavy work. At
    most ``repeats`` noisy rounds are repeated; then those with the least noise count.
    """
    rounds: list[Round] = []
    while sum(not each.noise()[0] for each in rounds) < count and len(rounds) < count + repeats:
        order = steps if len(rounds) % 2 == 0 else steps[::-1]
        noise = Noise()
        samples = {(step.work, step.way): take(step) for step in order}
        rounds.append(Round(samples, noise.stolen_percent(), load()))
    by_noise = sorted(rounds, key=Round.noise)
    return Rounds(by_noise[:count], by_noise[count:])
