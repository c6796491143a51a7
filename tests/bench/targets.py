"""The targets for every pair. docs/performance.md lists those that are not met, and why."""

from dataclasses import dataclass, field
from typing import Any

from tests.harness.template import FACTS, PAIRS, Pair

Facts = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A limit for a figure of each pair; a server's or proxy's own stands in its entry."""

    text: str
    figure: str
    # None: only those whose entry has a limit have one.
    limit: float | None
    # Whether the figure should not be above the limit; else it should not be below.
    at_most: bool = True
    pairs: tuple[Pair, ...] = tuple(PAIRS)
    # Limits that are a proxy's by this target, in the place of those of its entry.
    by_proxy: dict[str, float] = field(default_factory=dict)

    def limit_of(self, pair: Pair) -> float | None:
        """Return the limit of a pair."""
        if pair.proxy in self.by_proxy:
            return self.by_proxy[pair.proxy]
        own = FACTS["_servers"][pair.server]["targets"] | FACTS["_proxies"][pair.proxy]["targets"]
        return own.get(self.figure, self.limit)

    def missed(self, found: dict[Pair, Facts]) -> dict[Pair, float]:
        """Return the pairs that miss the limit, with their figures; containers' are summed up."""
        missed = {}
        for pair in self.pairs:
            limit = self.limit_of(pair)
            figure = found[pair].get(self.figure)
            if isinstance(figure, dict):
                figure = round(sum(figure.values()), 1)
            if figure is None or limit is None:
                continue
            ends = found[pair].get("intervals", {}).get(self.figure, [figure, figure])
            if not reached(figure, ends, limit, at_most=self.at_most):
                missed[pair] = figure
        return missed


def reached(figure: float, ends: list[float], limit: float, *, at_most: bool) -> bool:
    """Say whether a figure reaches its limit. What is equal to another reaches "not less"."""
    if limit == 1 and ends[0] <= 1 <= ends[1]:
        return True
    return figure <= limit if at_most else figure >= limit


# --- What a change of the template is measured by ---

# What a small response cost application, proxy and engine at commit 07b3744, by what Flask alone
# cost in the same moment: measured as a check does, with that commit's template.
COST_BEFORE = {
    "gunicorn-nginx": 17.5,
    "gunicorn-apache": 26.3,
    "waitress-nginx": 13.2,
    "waitress-apache": 21.7,
    "mod_wsgi-nginx": 13.9,
    "mod_wsgi-apache": 20.8,
    "uwsgi-nginx": 12.0,
    "uwsgi-apache": 18.8,
    "gevent-nginx": 14.3,
    "gevent-apache": 28.5,
    "eventlet-nginx": 11.4,
    "eventlet-apache": 27.1,
    "hypercorn-nginx": 25.9,
    "hypercorn-apache": 43.3,
    "granian-nginx": 7.1,
    "granian-apache": 19.2,
}

MAIN = [
    Target(
        "rate over the documentation's",
        "over_documentation_baseline",
        None,
        at_most=False,
        by_proxy={"nginx": 1.25, "apache": 1.0},
    ),
    Target(
        "rate through the proxy over direct, half a CPU",
        "proxied_over_direct_half_a_cpu",
        None,
        at_most=False,
        by_proxy={"nginx": 0.95, "apache": 0.85},
    ),
    Target("p99 at half load, over direct", "p99_over_direct_at_half_load", 1.3),
    Target("CPU time over that of before", "cost_over_before", 0.5),
    Target("requests failed", "errors", 0),
]


@dataclass(frozen=True)
class Comparison:
    """How many times the rate of another somebody should answer some work."""

    ours: str
    other: str
    work: str
    limit: float


DEFAULT = str(PAIRS[0])
COMPARISONS = [
    Comparison(DEFAULT, "flask-documentation", "json", 1.25),
    Comparison(DEFAULT, "flask-documentation", "page", 1.25),
    Comparison(DEFAULT, "flask-documentation", "wait", 1.0),
    Comparison("granian-nginx", "granian-alone", "json", 1.0),
    Comparison("granian-nginx", "tiangolo", "json", 1.0),
    Comparison(DEFAULT, "nickjj", "json", 1.5),
    Comparison(DEFAULT, "awesome-compose", "json", 1.5),
]

# --- What else is kept an eye on ---

OTHERS = [
    Target("the fastest server / Flask: 0.8", "over_flask_ceiling", None, at_most=False),
    Target("one connection, the median: 5 ms at most", "one_connection_p50_ms", 5),
    Target(
        "application's image over its base: 20 MB; 45 where it brings a web server",
        "image_over_base_mb",
        20,
    ),
    Target("minimal image: 60 MB", "minimal_image_mb", 60),
    Target("proxy's image over its base: 1 MB", "proxy_image_over_base_mb", 1),
    Target("rebuild after a changed line of code: 3 s", "rebuild_after_code_change_s", 3),
    Target("start to healthy: 2 s", "start_to_healthy_s", 2),
    Target("stop when idle: 2 s", "idle_stop_s", 2),
    Target("generation: 0.5 s", "generation_s", 0.5),
    Target(
        "idle memory of the default pair: 80 MB in all",
        "idle_memory_mb",
        80,
        pairs=(PAIRS[0],),
    ),
]
