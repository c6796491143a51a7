"""Rounds that measure everything once, so that a slow minute affects all measurements alike."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.harness.stack import run

from .figures import Figure, median
from .load import Outcome, Work
from .noise import Noise, load
from .served import JSON, Contestant

Facts = dict[str, Any]
# The host of a virtual machine may keep so much of its CPUs, and so many threads of each CPU may be
# ready to run, of which the bench's own are one or two. A round with more of either is repeated, so
# often in a run.
NOISY_PERCENT = 5
NOISY_LOAD = 3
REPEATS = 1


@dataclass(frozen=True)
class Step:
    """One thing to measure in a round: some work, of one who answers."""

    work: str
    way: str
    asked: Work
    contestant: Contestant
    seconds: int
    # Who has half a CPU meanwhile, so that there is room for all that works beside it.
    held: Container | None = None
    # What is looked at just before, such as how fast the CPU is in this moment.
    first: Callable[[], Facts] = dict


@dataclass(frozen=True)
class Sample:
    """What became of a step: the answers, what each cost, and what was looked at before."""

    outcome: Outcome
    # Microseconds of CPU time of an answer, by part: app, proxy, engine.
    cost: dict[str, float]
    before: Facts


@contextmanager
def half_a_cpu(container: Container | None) -> Iterator[None]:
    """Let a container have half a CPU."""

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
    # Answered once whatever was asked before is done.
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
    """One round: what was measured, by work and way, and what disturbed it."""

    samples: dict[tuple[str, str], Sample]
    stolen_percent: float
    load: float

    def noise(self) -> tuple[bool, float, float]:
        """Return whether there was too much noise, and how much: the calmest is the least."""
        load_of_each = self.load / (os.cpu_count() or 1)
        noisy = self.stolen_percent > NOISY_PERCENT or load_of_each > NOISY_LOAD
        return noisy, self.stolen_percent, self.load


@dataclass
class Rounds:
    """All rounds, of which the calmest count."""

    counted: list[Round]
    # Those that were repeated for the noise in them: of these only failures count.
    left_out: list[Round] = field(default_factory=list)

    def samples(self, work: str, way: str) -> list[Sample]:
        """Return what was measured of some work, round by round."""
        return [each.samples[work, way] for each in self.counted]

    def rate(self, work: str, way: str) -> Figure:
        """Return the answers a second."""
        return Figure.of(sample.outcome.per_second for sample in self.samples(work, way))

    def cost(self, work: str, way: str) -> dict[str, float]:
        """Return the microseconds of CPU time of an answer, by part."""
        found = defaultdict(list)
        for sample in self.samples(work, way):
            for part, us in sample.cost.items():
                found[part].append(us)
        return {part: median(costs, 0) for part, costs in found.items()}

    def errors(self, *ways: str) -> int:
        """Return how many requests of some ways failed, all if none is given."""
        return sum(
            sample.outcome.errors
            for each in [*self.counted, *self.left_out]
            for (_, way), sample in each.samples.items()
            if not ways or way in ways
        )

    def told(self) -> Facts:
        """Return what is recorded of each work and way."""
        return {
            f"{work}_{way}": summary([sample.outcome for sample in self.samples(work, way)])
            for work, way in sorted(self.counted[0].samples)
        }

    def noise(self) -> Facts:
        """Return what disturbed the rounds, and how many were repeated for it."""
        return {
            "stolen_percent": [each.stolen_percent for each in self.counted],
            "load": [each.load for each in self.counted],
            "repeated": len(self.left_out),
        }


def summary(outcomes: Sequence[Outcome]) -> Facts:
    """Return the median of the rounds with its interval, all of them, and the latencies."""
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
    """Measure every step in each of ``count`` rounds, the next one in the opposite order.

    What comes after heavy work, or early in a round, is so as often the other way about. Noisy
    rounds are repeated, ``repeats`` of them; then the calmest count.
    """
    rounds: list[Round] = []
    while sum(not each.noise()[0] for each in rounds) < count and len(rounds) < count + repeats:
        order = steps if len(rounds) % 2 == 0 else steps[::-1]
        noise = Noise()
        samples = {(step.work, step.way): take(step) for step in order}
        rounds.append(Round(samples, noise.stolen_percent(), load()))
    by_noise = sorted(rounds, key=Round.noise)
    return Rounds(by_noise[:count], by_noise[count:])
