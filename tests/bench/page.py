"""docs/performance.md and its charts, made from docs/performance.json."""

import json
import math
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from statistics import mode
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from tests.harness.conformance import table
from tests.harness.template import FACTS, PAIRS, PROXIES, ROOT, SERVERS, Pair

from .targets import TARGETS

FILE = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
TEMPLATE = Path(__file__).with_name("page.md")
CHARTS = ROOT / "docs" / "charts"

# Bars and marks are told apart by people who see few colours, and on both grounds.
SCHEMES = {
    "light": {
        "text": "#1f2328",
        "line": "#d0d7de",
        "bars": ["#0969da", "#bf8700", "#8c959f", "#c297ff", "#8250df"],
    },
    "dark": {
        "text": "#e6edf3",
        "line": "#3d444d",
        "bars": ["#58a6ff", "#d29922", "#848d97", "#6e40c9", "#b083f0"],
    },
}

Facts = dict[str, Any]


def charts(pairs: dict[str, Facts]) -> list[tuple[str, str, str, dict[str, list[float]]]]:
    """Return each chart's file name, heading and unit, and its bars: a value a server."""

    def each(proxy: str, find) -> list[float]:
        return [find(pairs[str(Pair(server, proxy))]) for server in SERVERS]

    def rate(name: str):
        return lambda facts: facts["work"][name]["per_second"]

    def mean(find) -> list[float]:
        columns = [each(proxy, find) for proxy in PROXIES]
        return [sum(values) / len(values) for values in zip(*columns, strict=True)]

    through = {proxy: f"through {FACTS['_proxies'][proxy]['title']}" for proxy in PROXIES}
    return [
        (
            "throughput",
            "A small JSON answer, 32 clients, one CPU",
            "answers a second",
            {through[proxy]: each(proxy, rate("json_proxied")) for proxy in PROXIES}
            | {"baseline, mean of both": mean(rate("json_documented"))},
        ),
        (
            "waiting",
            "A view that waits for 100 ms, 64 clients",
            "answers a second",
            {through[proxy]: each(proxy, rate("wait_proxied")) for proxy in PROXIES},
        ),
        (
            "memory",
            "Memory of the application's container",
            "MB",
            {
                "idle": mean(lambda facts: facts["idle_memory_mb"]["app"]),
                "after the load": mean(lambda facts: facts["loaded_memory_mb"]["app"]),
            },
        ),
    ]


def draw(
    name: str, heading: str, unit: str, bars: dict[str, list[float]], kinds: list[str]
) -> None:
    """Write a chart of horizontal bars, one group a server, for light and for dark grounds.

    Each of the ``kinds`` of bars has its own colour, in all charts the same.
    """
    CHARTS.mkdir(parents=True, exist_ok=True)
    for scheme, colours in SCHEMES.items():
        settings = {
            # Text stays text; the same figures make the same file.
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "font.family": "sans-serif",
            "font.size": 11,
            "text.color": colours["text"],
            "axes.labelcolor": colours["text"],
            "xtick.color": colours["text"],
            "ytick.color": colours["text"],
        }
        with mpl.rc_context(settings):
            figure = Figure(figsize=(8, 1.4 + 1.8 * len(bars)), layout="constrained")
            axes = figure.subplots()
            height = 0.8 / len(bars)
            for place, (label, values) in enumerate(bars.items()):
                rows = [row + (place - (len(bars) - 1) / 2) * height for row in range(len(values))]
                colour = colours["bars"][kinds.index(label)]
                drawn = axes.barh(rows, values, height * 0.9, label=label, color=colour)
                axes.bar_label(drawn, fmt="{:,.0f}", padding=3, fontsize=8.5)
            axes.set_yticks(
                range(len(SERVERS)), [FACTS["_servers"][server]["title"] for server in SERVERS]
            )
            axes.set_title(heading, loc="left", fontweight="bold")
            axes.set_xlabel(unit)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
            axes.grid(axis="x", color=colours["line"], linewidth=0.8)
            axes.set_axisbelow(True)
            axes.margins(x=0.1)
            axes.invert_yaxis()
            figure.legend(loc="outside lower center", ncols=len(bars), frameon=False)
            figure.savefig(
                CHARTS / f"{name}-{scheme}.svg", transparent=True, metadata={"Date": None}
            )


def picture(name: str, text: str) -> list[str]:
    """Return the lines that show a chart, as the reader's colour scheme has it."""
    return [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="charts/{name}-dark.svg">',
        f'  <img alt="{text}: the tables below have the figures" src="charts/{name}-light.svg">',
        "</picture>",
        "",
    ]


def number(value: float, digits: int = 2) -> str:
    """Return a number as the tables show it."""
    return f"{value:,.{digits}f}"


def rate(work: str):
    """Return what finds the answers a second of some work."""
    return lambda found: number(found["work"][work]["per_second"], 0)


def both(work: str):
    """Return what finds the answers a second of some work, through the proxy and directly."""
    return lambda found: f"{rate(f'{work}_proxied')(found)} ({rate(f'{work}_direct')(found)})"


def latencies(work: str):
    """Return what finds the latencies of some work."""
    parts = ("p50_ms", "p99_ms", "p999_ms")

    def find(found: Facts) -> str:
        run = found["work"][work]
        return " / ".join(number(run[part], 1) for part in parts if part in run)

    return find


def half(of: Callable[[Facts], float]):
    """Return what finds something of half load: directly, and through the proxy."""
    return lambda found: " → ".join(number(of(run), 1) for run in found["half_load"].values())


def queued(run: Facts) -> float:
    """Return the milliseconds within which 99 of 100 are answered where only a queue delays them.

    In a queue for one server (M/M/1) the time until an answer is exponential, with a mean of the
    time that one takes over the share of time that is free.
    """
    busy = run["busy_percent"] / 100
    return math.log(100) * 1e3 * busy / run["per_second"] / (1 - busy)


def figure(name: str):
    """Return what finds a figure, or one for each container."""

    def find(found: Facts) -> str:
        value = found[name]
        return " + ".join(map(str, value.values())) if isinstance(value, dict) else str(value)

    return find


def optional(name: str):
    """Return what finds a figure that not every server has."""
    return lambda found: figure(name)(found) if name in found else "none"


def cost(way: str, service: str):
    """Return what finds the microseconds of CPU time that an answer cost a container."""
    return lambda found: number(found["cpu_us_per_answer"][way][service], 0)


TABLES = {
    "small": {
        "direct": rate("json_direct"),
        "proxied": rate("json_proxied"),
        "baseline": rate("json_documented"),
        "proxied / direct": figure("proxied_over_direct"),
        "at half a CPU": figure("proxied_over_direct_half_a_cpu"),
        "proxied / baseline": figure("over_documentation_baseline"),
        "direct / Flask": figure("over_flask_ceiling"),
        "direct / application": figure("over_application_ceiling"),
        "errors": figure("errors"),
        "baseline's errors": figure("documented_errors"),
    },
    "cost": {
        "application, direct": cost("direct", "app"),
        "application, proxied": cost("proxied", "app"),
        "proxy": cost("proxied", "proxy"),
    },
    "latency": {
        "full, direct": latencies("json_direct"),
        "full, proxied": latencies("json_proxied"),
        "one connection": figure("one_connection_p50_ms"),
    },
    "half": {
        "a second": lambda found: number(found["half_load"]["proxied"]["per_second"], 0),
        "median": half(itemgetter("p50_ms")),
        "99 of 100": half(itemgetter("p99_ms")),
        "proxied / direct": figure("p99_over_direct_at_half_load"),
        "application busy, %": half(itemgetter("busy_percent")),
        "99 of 100, computed": half(queued),
        "waited for a CPU": half(itemgetter("waited_ms")),
        "kept by the host, %": half(itemgetter("stolen_percent")),
    },
    "other": {
        "waiting": both("wait"),
        "upload": both("upload"),
        "download": both("stream"),
        "static": rate("static_proxied"),
        "proxy alone": rate("proxy_proxied"),
    },
    "memory": {
        "idle": figure("idle_memory_mb"),
        "idle, two workers": optional("idle_memory_two_workers_mb"),
        "loaded": figure("loaded_memory_mb"),
    },
    "images": {
        "application": figure("image_mb"),
        "over base": figure("image_over_base_mb"),
        "as pushed": figure("image_pushed_mb"),
        "minimal": optional("minimal_image_mb"),
        "proxy": figure("proxy_image_mb"),
        "proxy over base": figure("proxy_image_over_base_mb"),
        "proxy as pushed": figure("proxy_image_pushed_mb"),
    },
    "times": {
        "generation": figure("generation_s"),
        "cold build": figure("cold_build_s"),
        "code changed": figure("rebuild_after_code_change_s"),
        "requirement changed": figure("rebuild_after_dependency_change_s"),
        "healthy": figure("start_to_healthy_s"),
        "stop": figure("idle_stop_s"),
    },
}


def targets(pairs: dict[str, Facts]) -> str:
    """Return the table of targets: whether all pairs reach each, or which do not, with figures."""
    found = {pair: pairs[str(pair)] for pair in PAIRS}
    rows = []
    for target in TARGETS:
        missed = target.missed(found)
        told = ", ".join(f"{pair} {figure:g}" for pair, figure in missed.items())
        rows.append([target.text, told or "all reach it"])
    return "\n".join(table(["target", "missed by"], rows))


def rounds(pairs: dict[str, Facts]) -> str:
    """Say how many rounds the pairs had: what most had, and then which had others."""
    had = {pair: found["rounds"] for pair, found in pairs.items()}
    usual = mode(had.values())
    others = [f"{pair} {count}" for pair, count in had.items() if count != usual]
    return f"{usual}" + (f" ({', '.join(others)})" if others else "")


def render(facts: Facts) -> str:
    """Return the page."""
    pairs = {str(pair): facts["pairs"][str(pair)] for pair in PAIRS}
    tables = {
        name: "\n".join(
            table(
                ["pair", *columns],
                (
                    [
                        f"**{pair}**" if found["errors"] else pair,
                        *(find(found) for find in columns.values()),
                    ]
                    for pair, found in pairs.items()
                ),
            )
        )
        for name, columns in TABLES.items()
    }
    first = next(iter(pairs.values()))
    pictures = [line for name, text, *_ in charts(pairs) for line in picture(name, text)]
    # Markdown, not HTML: nothing to escape.
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(  # noqa: S701
        TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        facts
        | tables
        | {
            "charts": "\n".join(pictures),
            "rounds": rounds(pairs),
            "targets": targets(pairs),
            "ceilings": {
                name: number(value, 0) for name, value in first["ceilings_per_second"].items()
            },
            "least_generation": number(first["least_generation_s"]),
        }
    )


def write() -> None:
    """Write the page and the charts."""
    facts = json.loads(FILE.read_text(encoding="utf-8"))
    PAGE.write_text(render(facts), encoding="utf-8")
    drawn = charts(facts["pairs"])
    kinds = list(dict.fromkeys(label for *_, bars in drawn for label in bars))
    for chart in drawn:
        draw(*chart, kinds)


if __name__ == "__main__":
    write()
