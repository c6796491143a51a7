"""Differences between pairs, and the accepted ones."""

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from tests.lib.existing import existing
from tests.lib.template import PAIRS

from .case import Case
from .observe import Observation
from .wire import CLOSED

ACCEPTED = Path(__file__).parent / "accepted.toml"
MISSING = "(missing)"
# The pairs of an entry for what depends on timing on every pair: any two may differ.
ANY = ("*",)
# Matches the parts of an outcome that are responses.
RESPONSE = re.compile(r"\d{3} ")
# Aspects whose values are part of the cause; for other aspects the values are ignored.
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
        """The key to group differences: aspect, shape, and for DECISIVE aspects the values."""
        values = [value for value, _ in self.sides] if self.aspect in DECISIVE else []
        return (self.aspect, self.shape, *values)

    def unlike_pairs(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield all combinations of two pairs that differ, each with its value."""
        for (value, pairs), (other_value, others) in combinations(self.sides, 2):
            for one in pairs:
                for other in others:
                    yield one, value, other, other_value

    @property
    def shape(self) -> str:
        """The groups of pairs that agree."""
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
    # A regular expression that the sent bytes must contain; by default any request.
    request: str = ""
    # A regular expression that each of the differing values must match as a whole.
    values: str = ""
    # A regular expression that the values of these pairs must match as a whole.
    theirs: str = ""
    # Whether it depends on timing, so that it may not occur in every run of the corpus.
    sometimes: bool = False
    # Whether it occurs only if optional features are on.
    features: bool = False

    def __str__(self) -> str:
        return " ".join([self.aspect, *self.pairs, self.request, self.values, self.theirs]).strip()

    def concerns(self, difference: Difference) -> bool:
        """Return whether this entry applies to the difference's aspect and request."""
        if not fnmatch.fnmatchcase(difference.aspect, self.aspect):
            return False
        request = difference.case.data.decode("latin-1")
        return bool(re.search(self.request, request, re.MULTILINE))

    def matches(self, pair: str) -> bool:
        """Return whether a pair is one of the pairs that may differ."""
        return any(fnmatch.fnmatchcase(pair, pattern) for pattern in self.pairs)

    def allows(self, one: str, value: str, other: str, other_value: str) -> bool:
        """Return whether two pairs may differ from each other with these values."""
        if self.pairs != ANY and self.matches(one) == self.matches(other):
            return False
        value, other_value = unlike(value, other_value)
        theirs = value if self.matches(one) else other_value
        return all(
            not pattern or re.fullmatch(pattern, each)
            for pattern, each in (
                (self.values, value),
                (self.values, other_value),
                (self.theirs, theirs),
            )
        )

    def occurs_in(self, difference: Difference) -> bool:
        """Return whether the entry's pairs differ from other pairs here."""
        return self.concerns(difference) and any(
            self.allows(one, value, other, other_value)
            for one, value, other, other_value in difference.unlike_pairs()
        )


def accepted(*, features: bool = False) -> list[Accepted]:
    """Return the entries of accepted.toml; none for an existing project, which has its own.

    ``features``: whether optional features are on.
    """
    if existing():
        return []
    data = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    entries = [Accepted(**{**entry, "pairs": tuple(entry["pairs"])}) for entry in data["accepted"]]
    return [entry for entry in entries if features or not entry.features]


def compare(
    case: Case, observations: Mapping[str, Observation], *, with_log: bool = True
) -> list[Difference]:
    """Return the differences: first in the outcome, then among pairs with the same outcome."""
    outcomes = group({pair: each.outcome for pair, each in observations.items()})
    found = []
    if len(outcomes) > 1:
        # After a closed connection, further requests do not count as a separate difference.
        aspect = "connection" if is_cut_short(observations.values()) else "outcome"
        found.append(Difference(case, aspect, outcomes))
    aspects = {pair: observations[pair].aspects(with_log=with_log) for pair in observations}
    for _, pairs in outcomes:
        for name in sorted({name for pair in pairs for name in aspects[pair]}):
            sides = group({pair: aspects[pair].get(name, MISSING) for pair in pairs})
            if len(sides) > 1:
                found.append(Difference(case, name, sides))
    return found


def is_cut_short(observations: Iterable[Observation]) -> bool:
    """Return whether all responses are the same, except that closed connections had fewer."""
    longest = max((each.outcomes for each in observations), key=len)
    return all(
        each.outcomes == longest
        or (
            (len(each.outcomes) > 0 and each.connection == CLOSED)
            and each.outcomes == longest[: len(each.outcomes)]
            and all(map(RESPONSE.match, longest[len(each.outcomes) :]))
        )
        for each in observations
    )


def group(values: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each value with its pairs, the most common value first."""
    sides: dict[str, list[str]] = {}
    for pair in sorted(values, key=order):
        sides.setdefault(values[pair], []).append(pair)
    ordered = sorted(sides.items(), key=lambda side: -len(side[1]))
    return tuple((value, tuple(pairs)) for value, pairs in ordered)


def unexplained(differences: Iterable[Difference], entries: list[Accepted]) -> list[Difference]:
    """Return the differences that the accepted entries do not explain.

    Each two pairs that differ need an entry that matches only one of them: an entry does not hide
    differences among its own pairs.
    """
    found = []
    for difference in differences:
        concerned = [entry for entry in entries if entry.concerns(difference)]
        if not all(is_explained(two, concerned) for two in difference.unlike_pairs()):
            found.append(difference)
    return found


def is_explained(two: tuple[str, str, str, str], entries: list[Accepted]) -> bool:
    """Return whether entries allow two pairs to differ.

    Of several responses on one connection, each may have an entry of its own.
    """
    if any(entry.allows(*two) for entry in entries):
        return True
    one, value, other, other_value = two
    parts, others = (each.split(", ") for each in unlike(value, other_value))
    return len(parts) == len(others) > 1 and all(
        part == counterpart or is_explained((one, part, other, counterpart), entries)
        for part, counterpart in zip(parts, others, strict=True)
    )


def unlike(one: str, other: str) -> tuple[str, str]:
    """Return the parts of two values that differ.

    Equal parts, for other requests on the same connection, are removed. If one connection was
    closed early, further responses on the other one are removed too.
    """
    numbered = re.match(r"1: ", one) or re.match(r"1: ", other)
    parts, others = (re.split(r"\n(?=\d+: )" if numbered else ", ", each) for each in (one, other))
    # A preceding 100 response is a separate difference.
    final = [[part for part in each if part != "100 proxy"] for each in (parts, others)]
    if final[0] != final[1]:
        parts, others = final
    while parts and others and parts[0] == others[0]:
        del parts[0], others[0]
    while len(parts) == len(others) and parts[-1:] == others[-1:] != []:
        del parts[-1], others[-1]
    for longer, length in ((parts, len(others)), (others, len(parts))):
        if length and all(map(RESPONSE.match, longer[length:])):
            del longer[length:]
    separator = "\n" if numbered else ", "
    return separator.join(parts) or MISSING, separator.join(others) or MISSING


def shape(sides: Sequence[Sequence[str]]) -> str:
    """Describe the groups of pairs that agree; the text is the same for all pairs and for a subset.

    If only the proxy or only the server decides, only that is named: "proxy", or the servers that
    differ from the majority.
    """
    of = {str(pair): pair for pair in PAIRS}
    if not {name for side in sides for name in side} <= of.keys():
        return " | ".join(short(side) for side in sides[1:])
    for kind in ("proxy", "server"):
        groups = [sorted({getattr(of[name], kind) for name in side}) for side in sides]
        if sum(map(len, groups)) == len({each for names in groups for each in names}):
            return kind if kind == "proxy" else " | ".join(map(" ".join, groups[1:]))
    return " | ".join(short(side) for side in sides[1:])


def short(pairs: Iterable[str]) -> str:
    """Return a short name: "*-nginx" for all pairs with nginx, "uwsgi-*" for both of uWSGI."""
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
    return " ".join(words + sorted(left, key=order))


def order(name: str) -> int:
    """Return a pair's place among all pairs; an existing project is the last."""
    return NAMES.index(name) if name in NAMES else len(NAMES)


def clipped(value: str, length: int = 300) -> str:
    """Return a value as one line of limited length."""
    text = value.encode("unicode_escape").decode("ascii")
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def report(differences: Iterable[Difference]) -> str:
    """Return a report by cause, each with its shortest case and the names of some others."""
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
    """Return a case's text, indented, with long lines cut."""
    return "\n".join(f"    {line[:300]}" for line in text.splitlines())
