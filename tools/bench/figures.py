"""Statistics of several rounds: the median and its confidence interval."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

# The minimum probability that an interval contains the true median. For 5 rounds, the interval from
# their minimum to their maximum has 1 - 2 / 2**5 = 0.9375.
CONFIDENCE = 0.93


def median(values: Iterable[float], digits: int = 3) -> float:
    """Return the median, rounded."""
    return round(statistics.median(values), digits)


def interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the confidence interval of the median, for any distribution of the rounds.

    Each round is above or below the true median with the same probability. So both ends are values
    of rounds, at the same rank from the minimum and maximum: the highest that CONFIDENCE allows.
    """
    ordered = sorted(values)
    count, left_out, missed = len(ordered), 0, 2 * 0.5 ** len(ordered)
    while missed <= 1 - CONFIDENCE and 2 * (left_out + 1) < count:
        following = missed + 2 * math.comb(count, left_out + 1) * 0.5**count
        if following > 1 - CONFIDENCE:
            break
        left_out, missed = left_out + 1, following
    return ordered[left_out], ordered[-1 - left_out]


@dataclass(frozen=True)
class Figure:
    """A median with the ends of its interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        """Return the figure of some rounds."""
        values = list(values)
        return cls(statistics.median(values), *interval(values))

    def __truediv__(self, other: "Figure") -> "Figure":
        """Return the ratio of the medians; its interval contains 1 only if the two overlap."""
        return Figure(self.median / other.median, self.low / other.high, self.high / other.low)

    def rounded(self, digits: int = 3) -> tuple[float, list[float]]:
        """Return the median and the interval, rounded."""
        return round(self.median, digits), [round(self.low, digits), round(self.high, digits)]
