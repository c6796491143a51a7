"""Searches for unknown differences, and reduces each to its smallest case."""

import time
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis.errors import NoSuchExample

from .case import Case
from .compare import Accepted, Difference, compare, unexplained
from .fleet import Fleet
from .grammar import cases

# Check the log in every tenth case: nginx writes it five times a second, and waiting for it each
# time would halve the rate.
WITH_LOG = 10
SETTINGS = settings(
    max_examples=2000,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)


@dataclass
class Search:
    """The state and the results of a search."""

    fleet: Fleet
    accepted: list[Accepted]
    ends_at: float
    found: list[Difference] = field(default_factory=list)
    tried: int = 0
    explained: int = 0
    # The number of differences that did not occur again when the case was sent again.
    passing: int = 0
    # Hypothesis tries the last case again, and must get the same result.
    known: dict[Case, list[Difference]] = field(default_factory=dict)

    def differences(self, case: Case) -> list[Difference]:
        """Send a case, again if pairs differ; return the differences unexplained both times."""
        with_log = self.tried % WITH_LOG == 0 or "log" in case.labels
        self.tried += 1
        every = compare(case, self.fleet.run(case, with_log=with_log), with_log=with_log)
        left = unexplained(every, self.accepted)
        self.explained += len(every) - len(left)
        if not left:
            return []
        again = compare(case, self.fleet.run(case, with_log=with_log), with_log=with_log)
        same = {each.cause for each in again}
        self.passing += sum(each.cause not in same for each in left)
        return [each for each in left if each.cause in same]

    def is_new(self, case: Case) -> bool:
        """Return whether a case shows a difference that was not found before."""
        if case not in self.known:
            if time.monotonic() > self.ends_at:
                return False
            new = [each for each in self.differences(case) if not self.is_known(each)]
            if not new:
                return False
            self.known[case] = new
        return True

    def is_known(self, difference: Difference) -> bool:
        """Return whether it was found already: same pairs and aspect, the same or fewer labels."""
        return any(
            (each.aspect, each.shape) == (difference.aspect, difference.shape)
            and each.case.labels <= difference.case.labels
            for each in self.found
        )

    def run(self, random: Random) -> None:
        """Find differences until the time is over."""
        while time.monotonic() < self.ends_at:
            try:
                case = find(cases(), self.is_new, settings=SETTINGS, random=random)
            except NoSuchExample:
                continue
            self.found += self.known[case]
            self.known.clear()
            for difference in self.found[-1:]:
                print(f"found: {difference.aspect}, {case.name}", flush=True)

    def summary(self) -> str:
        """Return the counts of the search."""
        return (
            f"{self.tried} cases, {self.fleet.sent} connections to pairs; {self.explained} "
            f"accepted differences seen, {len(self.found)} new, {self.passing} gone when sent again"
        )
