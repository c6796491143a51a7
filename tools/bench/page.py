"""docs/performance.md and its charts, generated from docs/performance.json."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure as Drawing

from tests.lib.template import FACTS, PAIRS, PROXIES, ROOT, Pair
from tools.markdown import table

from .figures import Figure
from .targets import COMPARISONS, FORMER_COSTS, MAIN, OTHERS, Comparison, Target, reached

FILE = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
TEMPLATE = Path(__file__).with_name("page.md")
CHARTS = ROOT / "docs" / "charts"

# Bar colours are distinguishable with colour blindness, on light and on dark backgrounds.
SCHEMES = {
    "light": {
        "text": "#1f2328",
        "line": "#d0d7de",
        "bars": {"nginx": "#0969da", "apache": "#bf8700", "others": "#8c959f"},
    },
    "dark": {
        "text": "#e6edf3",
        "line": "#3d444d",
        "bars": {"nginx": "#58a6ff", "apache": "#d29922", "others": "#848d97"},
    },
}

Facts = dict[str, Any]
# The format version of the file. The page does not show figures of an older format.
FORMAT = 2


def read(file: Path = FILE) -> Facts:
    """Return the recorded figures, or an empty dict if the file does not exist."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


# --- Charts ---


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: its label, its kind, which determines its colour, and its value."""

    label: str
    kind: str
    value: float
    # The ends of the interval, if there is one.
    ends: tuple[float, float] | None = None
    # The value to compare with, if any; the chart has a marker there.
    mark: float | None = None


@dataclass(frozen=True)
class Chart:
    """A chart with sorted bars."""

    name: str
    title: str
    unit: str
    bars: list[Bar]
    # The legend of the markers, if there are any.
    legend: str = ""


def workers(found: Facts) -> str:
    """Return the numbers of processes and threads that handle requests."""
    threads = found["threads"]
    return f"{found['processes']} x {'greenlets' if threads is None else threads}"


def label(pair: Pair, found: Facts) -> str:
    """Return the label of a pair's bar."""
    server, proxy = FACTS["_servers"][pair.server], FACTS["_proxies"][pair.proxy]
    return f"{server['title']} + {proxy['title']}, {workers(found)}"


def bar(name: str, kind: str, run: Facts, mark: float | None = None) -> Bar:
    """Return a bar for the rate of one kind of work."""
    return Bar(name, kind, run["per_second"], tuple(run["interval"]), mark)


def charts(facts: Facts) -> list[Chart]:
    """Return the charts."""
    pairs = {pair: facts["pairs"][str(pair)] for pair in PAIRS}
    compared = facts["alternatives"]["work"]

    def rates(work: str, mark: str = "") -> list[Bar]:
        return [
            bar(
                label(pair, found),
                pair.proxy,
                found["work"][work],
                mark=found["work"][mark]["per_second"] if mark else None,
            )
            for pair, found in pairs.items()
        ]

    memory = [
        Bar(label(pair, found), pair.proxy, sum(found["loaded_memory_mb"].values()))
        for pair, found in pairs.items()
    ]
    servers = []
    for name in (work.removeprefix("json_") for work in compared if work.startswith("json_")):
        own = next((pair for pair in PAIRS if str(pair) == name), None)
        title = label(own, pairs[own]) if own else facts["alternatives"]["titles"][name]
        servers.append(bar(title, own.proxy if own else "others", compared[f"json_{name}"]))

    def chart(name: str, title: str, unit: str, bars: list[Bar], *, least=False, legend=""):
        ordered = sorted(bars, key=lambda each: each.value, reverse=not least)
        first = ordered[0].label.rpartition(",")[0]
        return Chart(name, title.format(first=first), unit, ordered, legend)

    return [
        chart(
            "throughput",
            "Small responses: {first} has the highest rate",
            "responses per second, 32 clients, one CPU",
            rates("json_proxied", "json_documented"),
            legend="baseline: the set-up in the documentation",
        ),
        chart(
            "alternatives",
            "Comparison with other set-ups: {first} has the highest rate",
            "small responses per second, 32 clients",
            servers,
        ),
        chart(
            "waiting",
            "A view that waits for 100 ms: {first} has the highest rate",
            "responses per second, 64 clients",
            rates("wait_proxied"),
        ),
        chart(
            "memory",
            "Memory of both containers after the load: {first} uses the least",
            "MB",
            memory,
            least=True,
        ),
    ]


def draw(chart: Chart) -> None:
    """Write a chart of horizontal bars, for light and for dark backgrounds."""
    CHARTS.mkdir(parents=True, exist_ok=True)
    titles = {proxy: f"behind {FACTS['_proxies'][proxy]['title']}" for proxy in PROXIES}
    titles["others"] = "others"
    for scheme, colours in SCHEMES.items():
        settings = {
            # Keep text as text; produce the same file from the same figures.
            "svg.fonttype": "none",
            "svg.hashsalt": chart.name,
            "font.family": "sans-serif",
            "font.size": 11,
            "text.color": colours["text"],
            "axes.labelcolor": colours["text"],
            "xtick.color": colours["text"],
            "ytick.color": colours["text"],
        }
        with mpl.rc_context(settings):
            drawing = Drawing(figsize=(9, 1.6 + 0.32 * len(chart.bars)), layout="constrained")
            axes = drawing.subplots()
            for kind, colour in colours["bars"].items():
                rows = [row for row, each in enumerate(chart.bars) if each.kind == kind]
                if not rows:
                    continue
                values = [chart.bars[row].value for row in rows]
                axes.barh(rows, values, 0.7, label=titles[kind], color=colour)
            for row, each in enumerate(chart.bars):
                if each.ends:
                    axes.plot(each.ends, [row, row], color=colours["text"], linewidth=1.2)
                # To the right of the bar, its interval and its marker.
                place = max(each.value, *(each.ends or ()), each.mark or 0)
                axes.annotate(
                    number(each.value, 0),
                    (place, row),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8.5,
                )
            if chart.legend:
                marks = [each.mark for each in chart.bars]
                axes.plot(
                    *(marks, range(len(marks))),
                    *("D",),
                    color=colours["text"],
                    markersize=4,
                    label=chart.legend,
                )
            axes.set_yticks(range(len(chart.bars)), [each.label for each in chart.bars])
            drawing.suptitle(chart.title, x=0.01, ha="left", fontweight="bold")
            subtitle = f"{chart.unit}; labels: processes x threads"
            axes.set_title(subtitle, loc="left", fontsize=10)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
            axes.grid(axis="x", color=colours["line"], linewidth=0.8)
            axes.set_axisbelow(True)
            axes.margins(x=0.1)
            axes.set_xlim(left=0)
            axes.invert_yaxis()
            drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
            drawing.savefig(
                CHARTS / f"{chart.name}-{scheme}.svg", transparent=True, metadata={"Date": None}
            )


def picture(chart: Chart) -> list[str]:
    """Return the HTML lines that show a chart in the reader's colour scheme."""
    source, text = f"charts/{chart.name}", chart.title
    return [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{source}-dark.svg">',
        f'  <img alt="{text}. The tables below contain the figures." src="{source}-light.svg">',
        "</picture>",
        "",
    ]


# --- Tables ---


def number(value: float, digits: int = 2) -> str:
    """Return a number as the tables show it."""
    return f"{value:,.{digits}f}"


def with_interval(text: str, ends: Iterable[float] | None, digits: int) -> str:
    """Return a figure with its interval, if it has one."""
    return f"{text} ({'–'.join(number(end, digits) for end in ends)})" if ends else text  # noqa: RUF001


def rate(work: str) -> Callable[[Facts], str]:
    """Return a function that formats the responses per second of one kind of work."""

    def find(found: Facts) -> str:
        run = found["work"][work]
        ends = run.get("interval") if len(run.get("rounds", ())) > 1 else None
        return with_interval(number(run["per_second"], 0), ends, 0)

    return find


def both_routes(work: str) -> Callable[[Facts], str]:
    """Return a function that formats the responses per second of the two routes."""

    def find(found: Facts) -> str:
        runs = (found["work"][f"{work}_{route}"] for route in ("proxied", "direct"))
        return "{} ({})".format(*(number(run["per_second"], 0) for run in runs))

    return find


def latencies(work: str) -> Callable[[Facts], str]:
    """Return a function that formats the latencies of one kind of work."""

    def find(found: Facts) -> str:
        run = found["work"][work]
        return " / ".join(number(run[percentile], 1) for percentile in ("p50_ms", "p99_ms"))

    return find


def half_load(name: str, digits: int = 1) -> Callable[[Facts], str]:
    """Return a function that formats a figure of half load: directly, and through the proxy."""
    return lambda found: " → ".join(
        number(run[name], digits) for run in found["half_load"].values()
    )


def figure(name: str) -> Callable[[Facts], str]:
    """Return a function that formats a figure, or one for each container."""

    def find(found: Facts) -> str:
        value = found[name]
        if isinstance(value, dict):
            return " + ".join(map(str, value.values()))
        return with_interval(str(value), found.get("intervals", {}).get(name), 2)

    return find


def ratio(name: str) -> Callable[[Facts], str]:
    """Return a function that formats a ratio, and adds "equal" if its interval contains 1."""

    def find(found: Facts) -> str:
        ends = found.get("intervals", {}).get(name)
        return f"{figure(name)(found)}{', equal' if ends and ends[0] <= 1 <= ends[1] else ''}"

    return find


def optional(name: str) -> Callable[[Facts], str]:
    """Return a function that formats a figure that not every server has."""
    return lambda found: figure(name)(found) if name in found else "none"


def cost(route: str) -> Callable[[Facts], str]:
    """Return a function that formats the CPU time of a response: parts and sum."""

    def find(found: Facts) -> str:
        return parts_of(found["cpu_us_per_response"][route])

    return find


def parts_of(costs: dict[str, float]) -> str:
    """Return costs by part, and their sum."""
    parts = (number(costs.get(part, 0), 0) for part in ("app", "proxy", "engine"))
    return f"{' + '.join(parts)} = {number(sum(costs.values()), 0)}"


TABLES = {
    "small": {
        "direct": rate("json_direct"),
        "proxied": rate("json_proxied"),
        "baseline": rate("json_documented"),
        "proxied / direct": ratio("proxied_over_direct"),
        "with half a CPU": ratio("proxied_over_direct_half_a_cpu"),
        "proxied / baseline": ratio("over_documentation_baseline"),
        "errors": figure("errors"),
        "baseline's errors": figure("documented_errors"),
    },
    "cost": {
        "direct": cost("direct"),
        "proxied": cost("proxied"),
        "baseline": cost("documented"),
        "proxied / Flask alone": figure("cost_over_flask"),
        "application / Flask alone": figure("application_over_flask"),
    },
    "latency": {
        "direct": latencies("json_direct"),
        "proxied": latencies("json_proxied"),
        "one connection": figure("one_connection_p50_ms"),
    },
    "half": {
        "per second": lambda found: number(found["half_load"]["proxied"]["per_second"], 0),
        "median": half_load("p50_ms"),
        "p99": half_load("p99_ms"),
        "proxied / direct": ratio("p99_over_direct_at_half_load"),
        "sent late": half_load("late", 0),
        "application busy, %": half_load("busy_percent"),
        "steal, %": half_load("stolen_percent"),
    },
    "works": {
        "processes x threads": workers,
        "small": rate("json_proxied"),
        "page": rate("page_proxied"),
        "CPU-bound": rate("compute_proxied"),
        "waiting": rate("wait_proxied"),
        "mixed": rate("mix_proxied"),
    },
    "other": {
        "waiting": both_routes("wait"),
        "upload": both_routes("upload"),
        "download": both_routes("stream"),
        "static": rate("static_proxied"),
        "health check": rate("proxy_proxied"),
    },
    "memory": {
        "idle": figure("idle_memory_mb"),
        "loaded": figure("loaded_memory_mb"),
    },
    "images": {
        "application": figure("image_mb"),
        "over base": figure("image_over_base_mb"),
        "compressed": figure("image_pushed_mb"),
        "minimal": optional("minimal_image_mb"),
        "proxy": figure("proxy_image_mb"),
        "proxy over base": figure("proxy_image_over_base_mb"),
        "proxy compressed": figure("proxy_image_pushed_mb"),
    },
    "times": {
        "generation": figure("generation_s"),
        "cold build": figure("cold_build_s"),
        "code changed": figure("rebuild_after_code_change_s"),
        "requirement changed": figure("rebuild_after_dependency_change_s"),
        "healthy": figure("start_to_healthy_s"),
        "stop": figure("idle_stop_s"),
    },
    "noise": {
        "rounds": lambda found: f"{found['rounds']} of {found['round_seconds']:g} s",
        "repeated": lambda found: str(found["noise"]["repeated"]),
        "steal, %": lambda found: span(found["noise"]["stolen_percent"]),
        "load": lambda found: span(found["noise"]["load"]),
    },
}


def span(values: list[float]) -> str:
    """Return the minimum and the maximum of some figures."""
    return f"{min(values)} to {max(values)}"


def pair_table(name: str, pairs: dict[str, Facts]) -> str:
    """Return a table with a row for each pair; pairs with failed requests are bold."""
    columns = TABLES[name]
    rows = (
        [
            f"**{pair}**" if found["errors"] else pair,
            *(find(found) for find in columns.values()),
        ]
        for pair, found in pairs.items()
    )
    return "\n".join(table(["pair", *columns], rows))


def alternatives_table(alternatives: Facts) -> str:
    """Return the table of all servers that were measured in one run, the fastest first."""
    work = alternatives["work"]

    def cell(name: str, server: str) -> str:
        return rate(f"{name}_{server}")(alternatives) if f"{name}_{server}" in work else ""

    rates = {server: work[f"json_{server}"]["per_second"] for server in alternatives["errors"]}
    rows = (
        [
            alternatives["titles"].get(server, server),
            *(cell(name, server) for name in ("json", "page", "wait")),
            parts_of(alternatives["cpu_us_per_response"][f"json_{server}"]),
            alternatives["errors"][server],
        ]
        for server in sorted(rates, key=rates.get, reverse=True)
    )
    head = ["processes x threads", "small", "page", "waiting", "CPU time, µs", "errors"]
    return "\n".join(table(head, rows))


# --- Targets ---


def targeted(pair: str, found: Facts) -> Facts:
    """Return a pair's figures, with its cost relative to FORMER_COSTS added: 0 for a new server."""
    former, name = FORMER_COSTS.get(pair, math.inf), "cost_over_former_cost"
    ends = [round(end / former, 3) for end in found["intervals"]["cost_over_flask"]]
    return found | {
        name: round(found["cost_over_flask"] / former, 3),
        "intervals": found["intervals"] | {name: ends},
    }


def excess(costs: dict[str, float], lower: dict[str, float]) -> str:
    """Return the parts in which a response costs more than another, the largest excess first."""
    differences = {part: costs.get(part, 0) - lower.get(part, 0) for part in costs | lower}
    names = {"app": "application"}
    texts = [
        f"{names.get(part, part)} +{number(us, 0)} µs"
        for part, us in sorted(differences.items(), key=itemgetter(1), reverse=True)
        if us >= 1
    ]
    return ", ".join(texts) or "no part needs more CPU time: the machine's CPUs are the limit"


def reason(target: Target, found: Facts) -> str:
    """Return why a target is missed, in terms of CPU time."""
    costs = found["cpu_us_per_response"]
    match target.figure:
        case "over_documentation_baseline":
            return f"more than the baseline: {excess(costs['proxied'], costs['documented'])}"
        case "proxied_over_direct_half_a_cpu":
            proxied, direct = ({"app": costs[route]["app"]} for route in ("proxied", "direct"))
            return f"more than direct: {excess(proxied, direct)}"
        case "p99_over_direct_at_half_load":
            busy = half_load("busy_percent")(found)
            return f"half load: application busy {busy} %"
        case "cost_over_former_cost":
            return f"current {parts_of(costs['proxied'])} µs"
        case _:
            return ""


def targets(pairs: dict[str, Facts]) -> str:
    """Return the table of the main targets: each pair's figures; those that miss are bold."""
    found = {pair: targeted(str(pair), pairs[str(pair)]) for pair in PAIRS}
    missed = {target.figure: target.missed(found) for target in MAIN}

    def cell(target: Target, pair: Pair) -> str:
        text = figure(target.figure)(found[pair])
        return f"**{text}: missed**" if pair in missed[target.figure] else text

    rows = (
        [
            pair,
            *(cell(target, pair) for target in MAIN),
            "; ".join(
                text
                for target in MAIN
                if pair in missed[target.figure] and (text := reason(target, found[pair]))
            )
            or "all met",
        ]
        for pair in PAIRS
    )
    head = [f"{target.text}: {limits(target)}" for target in MAIN]
    return "\n".join(table(["pair", *head, "reason"], rows))


def limits(target: Target) -> str:
    """Return the limits of a target as text."""
    sign = "≤" if target.at_most else "≥"
    if target.by_proxy:
        return ", ".join(f"{proxy} {sign} {limit:g}" for proxy, limit in target.by_proxy.items())
    return f"{sign} {target.limit:g}"


def comparison(one: Comparison, alternatives: Facts) -> list[str]:
    """Return a table row that compares two servers that were measured in one run."""

    def of(server: str) -> Figure:
        run = alternatives["work"][f"{one.work}_{server}"]
        return Figure(run["per_second"], *run["interval"])

    value, ends = (of(one.pair) / of(one.other)).rounded(2)
    met = reached(value, ends, one.limit, at_most=False)
    costs = alternatives["cpu_us_per_response"]
    difference = excess(costs[f"{one.work}_{one.pair}"], costs[f"{one.work}_{one.other}"])
    return [
        f"{one.pair} / {alternatives['titles'][one.other]}",
        one.work,
        f"≥ {one.limit:g}",
        with_interval(str(value), ends, 2) + (", equal" if ends[0] <= 1 <= ends[1] else ""),
        "met" if met else f"**missed**: {difference}",
    ]


def others(pairs: dict[str, Facts]) -> str:
    """Return the table of the other targets, with the pairs that miss each."""
    found = {pair: pairs[str(pair)] for pair in PAIRS}
    rows = []
    for target in OTHERS:
        missed_by = ", ".join(f"{pair} {value:g}" for pair, value in target.missed(found).items())
        rows.append([target.text, missed_by or "none"])
    return "\n".join(table(["target", "missed by"], rows))


# --- The page ---


def missing(facts: Facts) -> list[str]:
    """Return what must be measured before the page can be written."""
    if facts.get("format") != FORMAT:
        return ["everything, in the new format"]
    absent = [str(pair) for pair in PAIRS if str(pair) not in facts["pairs"]]
    return absent + ([] if facts["alternatives"] else ["alternatives"])


def render(facts: Facts) -> str:
    """Return the page."""
    pairs = {str(pair): facts["pairs"][str(pair)] for pair in PAIRS}
    first = next(iter(pairs.values()))
    pictures = [line for chart in charts(facts) for line in picture(chart)]
    head = ["compared", "work", "target", "ratio", "met"]
    rows = (comparison(one, facts["alternatives"]) for one in COMPARISONS)
    # Markdown, not HTML: nothing to escape.
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(  # noqa: S701
        TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        facts
        | {name: pair_table(name, pairs) for name in TABLES}
        | {
            "charts": "\n".join(pictures),
            "alternatives": alternatives_table(facts["alternatives"]),
            "targets": targets(pairs),
            "comparisons": "\n".join(table(head, rows)),
            "others": others(pairs),
            "ceilings": {
                name: number(value, 0) for name, value in first["ceilings_per_second"].items()
            },
            "least_generation": number(first["least_generation_s"]),
        }
    )


def write() -> None:
    """Write the page and the charts. Raise SystemExit if figures are missing."""
    facts = read(FILE)
    if absent := missing(facts):
        raise SystemExit(f"Figures are missing: run `make bench` for {', '.join(absent)}.")
    PAGE.write_text(render(facts), encoding="utf-8")
    for chart in charts(facts):
        draw(chart)


if __name__ == "__main__":
    write()
