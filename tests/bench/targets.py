"""What every pair should reach; docs/performance.md says which do not, and why."""

from dataclasses import dataclass
from typing import Any

from tests.harness.template import FACTS, PAIRS, Pair


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

    def missed(self, found: dict[Pair, dict[str, Any]]) -> dict[Pair, float]:
        """Return the pairs that miss the limit, with their figures; containers' are summed up."""
        missed = {}
        for pair in self.pairs:
            own = (
                FACTS["_servers"][pair.server]["targets"] | FACTS["_proxies"][pair.proxy]["targets"]
            )
            limit = own.get(self.figure, self.limit)
            figure = found[pair].get(self.figure)
            if isinstance(figure, dict):
                figure = round(sum(figure.values()), 1)
            if figure is None or limit is None:
                continue
            if (figure > limit) if self.at_most else (figure < limit):
                missed[pair] = figure
        return missed


TARGETS = [
    Target("no request fails", "errors", 0),
    Target(
        "proxied / direct: 0.95, or 0.9 where each request connects anew",
        "proxied_over_direct",
        0.95,
        at_most=False,
    ),
    Target(
        "the same with room for the proxy: half a CPU for the application",
        "proxied_over_direct_half_a_cpu",
        0.95,
        at_most=False,
    ),
    Target("proxied / baseline: 1.25", "over_documentation_baseline", 1.25, at_most=False),
    Target("the fastest server / Flask: 0.8", "over_flask_ceiling", None, at_most=False),
    Target(
        "99 of 100 at half load, proxied / direct: 1.3 at most", "p99_over_direct_at_half_load", 1.3
    ),
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
        "idle memory of the default pair, two workers: 80 MB in all",
        "idle_memory_two_workers_mb",
        80,
        pairs=(PAIRS[0],),
    ),
]
