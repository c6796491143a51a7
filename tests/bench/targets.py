"""What every pair should reach; docs/performance.md says which do not, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.harness.template import Pair


@dataclass(frozen=True)
class Target:
    """A limit for a figure of each pair; None for a pair that the target is not for."""

    text: str
    figure: Callable[[dict[str, Any]], float | None]
    limit: Callable[[Pair], float | None]
    # Whether the figure should not be above the limit; else it should not be below.
    at_most: bool = True

    def missed(self, pairs: dict[Pair, dict[str, Any]]) -> dict[Pair, float]:
        """Return the pairs that miss the limit, with their figures."""
        found = {}
        for pair, facts in pairs.items():
            figure, limit = self.figure(facts), self.limit(pair)
            if figure is None or limit is None:
                continue
            if (figure > limit) if self.at_most else (figure < limit):
                found[pair] = figure
        return found


def everywhere(limit: float) -> Callable[[Pair], float]:
    """Return the same limit for every pair."""
    return lambda _: limit


TARGETS = [
    Target("No request fails", lambda facts: facts["errors"], everywhere(0)),
    Target(
        "Proxied over direct: 0.95 through nginx, 0.9 through httpd",
        lambda facts: facts["proxied_over_direct"],
        lambda pair: 0.95 if pair.proxy == "nginx" else 0.9,
        at_most=False,
    ),
    Target(
        "Proxied over the baseline: 1.25",
        lambda facts: facts["over_documentation_baseline"],
        everywhere(1.25),
        at_most=False,
    ),
    Target(
        "Granian over Flask in process: 0.8",
        lambda facts: facts["over_flask_ceiling"],
        lambda pair: 0.8 if pair.server == "granian" else None,
        at_most=False,
    ),
    Target(
        "99 of 100 at half load, proxied over direct: at most 1.3",
        lambda facts: facts["p99_over_direct_at_half_load"],
        everywhere(1.3),
    ),
    Target(
        "1,000 requests on one connection, the median: below 5 ms",
        lambda facts: facts["one_connection_p50_ms"],
        everywhere(5),
    ),
    Target(
        "Application's image over its base: 20 MB, mod_wsgi's 45 MB",
        lambda facts: facts["image_over_base_mb"],
        lambda pair: 45 if pair.server == "mod_wsgi" else 20,
    ),
    Target("Minimal image: 60 MB", lambda facts: facts.get("minimal_image_mb"), everywhere(60)),
    Target(
        "Proxy's image over its base: 1 MB",
        lambda facts: facts["proxy_image_over_base_mb"],
        everywhere(1),
    ),
    Target(
        "Rebuild after a changed line of code: 3 s",
        lambda facts: facts["rebuild_after_code_change_s"],
        everywhere(3),
    ),
    Target("Start to healthy: 2 s", lambda facts: facts["start_to_healthy_s"], everywhere(2)),
    Target("Stop when idle: 2 s", lambda facts: facts["idle_stop_s"], everywhere(2)),
    Target("Generation: 0.5 s", lambda facts: facts["generation_s"], everywhere(0.5)),
    Target(
        "Idle memory of the default pair, two workers: 80 MB in all",
        lambda facts: sum(facts["idle_memory_two_workers_mb"].values()),
        lambda pair: 80 if (pair.server, pair.proxy) == ("gunicorn", "nginx") else None,
    ),
]
