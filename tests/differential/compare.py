"""Differences between pairs, and those that are accepted."""

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.template import PAIRS

from .case import Case
from .observe import Observation
from .wire import CLOSED

ACCEPTED = Path(__file__).parent / "accepted.toml"
# Their values are causes of their own; of other aspects, any value will do.
DECISIVE = ("outcome", "connection")
NAMES = [str(pair) for pair in PAIRS]


@dataclass(frozen=True)
class Difference:
    """One aspect of a case in which pairs differ."""

    case: Case
    aspect: str
    # Each value with the pairs that have it.
    sides: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def cause(self) -> tuple[str, ...]:
        """What groups differences: the aspect, and who agrees with whom; of outcomes, on what."""
        values = [value for value, _ in self.sides] if self.aspect in DECISIVE else []
        return (self.aspect, self.shape, *values)

    @property
    def shape(self) -> str:
        """Who agrees with whom."""
        return shape([pairs for _, pairs in self.sides])

    def __str__(self) -> str:
        lines = [f"{self.aspect} of {self.case.name}:"]
        for value, pairs in self.sides:
            lines.append(f"  {short(pairs)}: {clipped(value)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Accepted:
    """An entry of accepted.toml: pairs that may differ from the others in an aspect."""

    aspect: str
    pairs: tuple[str, ...]
    reason: str
    source: str
    # A regular expression over the bytes sent; by default any request.
    request: str = ""
    # A regular expression that each of the differing values must match as a whole.
    values: str = ""
    # A regular expression that the values of these pairs must match as a whole.
    theirs: str = ""
    # Whether it depends on time, so that the corpus need not show it.
    sometimes: bool = False

    def __str__(self) -> str:
        return " ".join([self.aspect, *self.pairs, self.request, self.values, self.theirs]).strip()

    def concerns(self, difference: Difference) -> bool:
        """Say whether this is about the difference's aspect and request."""
        if not fnmatch.fnmatchcase(difference.aspect, self.aspect):
            return False
        if not re.search(self.request, difference.case.data.decode("latin-1"), re.MULTILINE):
            return False
        every = [value for value, _ in difference.sides]
        theirs = [value for value, pairs in difference.sides if any(map(self.matches, pairs))]
        return all(
            not pattern or re.fullmatch(pattern, value)
            for pattern, values in ((self.values, every), (self.theirs, theirs))
            for value in values
        )

    def matches(self, pair: str) -> bool:
        """Say whether a pair is one of those that may differ."""
        return any(fnmatch.fnmatchcase(pair, pattern) for pattern in self.pairs)

    def occurs_in(self, difference: Difference) -> bool:
        """Say whether its pairs do differ from the others here."""
        if not self.concerns(difference):
            return False
        return any(
            self.matches(one) != self.matches(other)
            for number, (_, pairs) in enumerate(difference.sides)
            for _, others in difference.sides[number + 1 :]
            for one in pairs
            for other in others
        )


def accepted() -> list[Accepted]:
    """Return all entries."""
    data = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    return [
        Accepted(**{**entry, "pairs": tuple(entry["pairs"])}) for entry in data.get("accepted", [])
    ]


def compare(
    case: Case, observations: Mapping[str, Observation], *, with_log: bool = True
) -> list[Difference]:
    """Return where pairs differ: first in the outcome, then among those with the same outcome."""
    outcomes = group({pair: each.outcome for pair, each in observations.items()})
    found = []
    if len(outcomes) > 1:
        # Of several requests, those behind a closed connection are no matter of their own.
        aspect = "connection" if is_cut_short(observations.values()) else "outcome"
        found.append(Difference(case, aspect, outcomes))
    aspects = {pair: observations[pair].aspects(with_log=with_log) for pair in observations}
    for _, pairs in outcomes:
        for name in sorted({name for pair in pairs for name in aspects[pair]}):
            sides = group({pair: aspects[pair].get(name, "(missing)") for pair in pairs})
            if len(sides) > 1:
                found.append(Difference(case, name, sides))
    return found


def is_cut_short(observations: Iterable[Observation]) -> bool:
    """Say whether all got the same responses, but for closed connections, which had fewer."""
    longest = max((each.outcomes for each in observations), key=len)
    return all(
        each.outcomes == longest
        or (
            (len(each.outcomes) > 0 and each.connection == CLOSED)
            and each.outcomes == longest[: len(each.outcomes)]
        )
        for each in observations
    )


def group(values: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each value with its pairs, the most common value first."""
    sides: dict[str, list[str]] = {}
    for pair in sorted(values, key=NAMES.index):
        sides.setdefault(values[pair], []).append(pair)
    ordered = sorted(sides.items(), key=lambda side: -len(side[1]))
    return tuple((value, tuple(pairs)) for value, pairs in ordered)


def unexplained(differences: Iterable[Difference], entries: list[Accepted]) -> list[Difference]:
    """Return the differences that the accepted ones do not explain.

    Pairs that the same entries are about must be alike: an entry does not hide that its own pairs
    differ among themselves.
    """
    found = []
    for difference in differences:
        concerned = [entry for entry in entries if entry.concerns(difference)]
        values: dict[tuple[bool, ...], set[str]] = {}
        for value, pairs in difference.sides:
            for pair in pairs:
                atom = tuple(entry.matches(pair) for entry in concerned)
                values.setdefault(atom, set()).add(value)
        if any(len(each) > 1 for each in values.values()):
            found.append(difference)
    return found


def shape(sides: Sequence[Sequence[str]]) -> str:
    """Describe who agrees with whom, alike for all pairs and for a part of them.

    Where the proxy alone or the server alone decides, it is which of them do not follow the most.
    """
    of = {str(pair): pair for pair in PAIRS}
    for kind in ("proxy", "server"):
        groups = [sorted({getattr(of[name], kind) for name in side}) for side in sides]
        if sum(map(len, groups)) == len({each for names in groups for each in names}):
            return kind if kind == "proxy" else " | ".join(map(" ".join, groups[1:]))
    return " | ".join(short(side) for side in sides[1:])


def short(pairs: Iterable[str]) -> str:
    """Name pairs in few words: "*-nginx" for all with nginx, "uwsgi-*" for both of a server's."""
    left, words = set(pairs), []
    if left == set(NAMES):
        return "all"
    proxies = sorted({str(pair.proxy) for pair in PAIRS})
    for proxy in proxies:
        every = {str(pair) for pair in PAIRS if pair.proxy == proxy}
        if every <= left:
            words.append(f"*-{proxy}")
            left -= every
    for server in dict.fromkeys(pair.server for pair in PAIRS):
        both = {str(pair) for pair in PAIRS if pair.server == server}
        if both <= left:
            words.append(f"{server}-*")
            left -= both
    return " ".join(words + sorted(left, key=NAMES.index))


def clipped(value: str, length: int = 300) -> str:
    """Return a value in one line of bearable length."""
    text = value.encode("unicode_escape").decode("ascii")
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def report(differences: Iterable[Difference]) -> str:
    """Group differences by cause; show of each the shortest case, and name a few others."""
    causes: dict[object, list[Difference]] = {}
    for difference in differences:
        causes.setdefault(difference.cause, []).append(difference)
    parts = []
    for same in sorted(causes.values(), key=len, reverse=True):
        first = min(same, key=lambda each: len(each.case.data))
        others = [each.case.name for each in same if each is not first]
        more = f"\n  and {len(others)} others: {', '.join(others[:8])}" if others else ""
        parts.append(f"{first}{more}\n{indented(first.case.text())}")
    return "\n\n".join(parts)


def indented(text: str) -> str:
    """Return a case's text, set off from what stands around it."""
    return "\n".join(f"    {line[:300]}" for line in text.splitlines())
