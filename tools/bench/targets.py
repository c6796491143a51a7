"""The targets for every pair. docs/performance.md lists those that are not met, and why."""

from dataclasses import dataclass, field
from typing import Any

from tests.lib.template import EXPECTATIONS, PAIRS, Pair

Facts = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A limit for a figure of each pair; the entry of a server or proxy may set its own limit."""

    text: str
    figure: str
    # None: only pairs whose server's or proxy's entry sets a limit have one.
    limit: float | None
    # True: the figure must not be above the limit. False: it must not be below the limit.
    at_most: bool = True
    pairs: tuple[Pair, ...] = tuple(PAIRS)
    # Limits by proxy, which take precedence over those in the entries.
    by_proxy: dict[str, float] = field(default_factory=dict)

    def limit_of(self, pair: Pair) -> float | None:
        """Return the limit for a pair, or None if it has none."""
        if pair.proxy in self.by_proxy:
            return self.by_proxy[pair.proxy]
        server, proxy = EXPECTATIONS["_servers"][pair.server], EXPECTATIONS["_proxies"][pair.proxy]
        own = server["budgets"] | proxy["budgets"]
        return own.get(self.figure, self.limit)

    def missed(self, found: dict[Pair, Facts]) -> dict[Pair, float]:
        """Return the pairs that miss the limit, with their figures; containers are summed."""
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
    """Return whether a figure meets its limit; a limit of 1 is met if the interval contains 1."""
    if limit == 1 and ends[0] <= 1 <= ends[1]:
        return True
    return figure <= limit if at_most else figure >= limit


# --- Main targets, for changes of the template ---

# The CPU time of a small response in application, proxy and engine at commit 07b3744, relative to
# that of Flask alone at the same time: measured like a check, with that commit's template.
FORMER_COSTS = {
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
        "rate / baseline",
        "over_documentation_baseline",
        None,
        at_most=False,
        by_proxy={"nginx": 1.25, "apache": 1.0},
    ),
    Target(
        "proxied / direct rate, half a CPU",
        "proxied_over_direct_half_a_cpu",
        None,
        at_most=False,
        by_proxy={"nginx": 0.95, "apache": 0.85},
    ),
    Target("p99 at half load, proxied / direct", "p99_over_direct_at_half_load", 1.3),
    Target("CPU time / former CPU time", "cost_over_former_cost", 0.5),
    Target("failed requests", "errors", 0),
]


@dataclass(frozen=True)
class Comparison:
    """The minimum ratio of a pair's rate to another server's rate for one kind of work."""

    pair: str
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

# --- Other targets ---

OTHERS = [
    Target("fastest server / Flask alone: 0.8", "over_flask_ceiling", None, at_most=False),
    Target("median with one connection: 5 ms", "one_connection_p50_ms", 5),
    Target(
        "application's image over its base: 20 MB; 45 MB if it contains a web server",
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
        "idle memory of the default pair: 80 MB in total",
        "idle_memory_mb",
        80,
        pairs=(PAIRS[0],),
    ),
]
