"""The performance page is up to date with the pairs and its figures."""

import json
from pathlib import Path

import pytest

from tests.lib.template import PAIRS, PROXIES, SERVERS, Pair
from tools.bench import page
from tools.bench.alternatives import ALTERNATIVES
from tools.bench.targets import COMPARISONS, MAIN

# --- Recorded figures ---


@pytest.fixture(scope="module")
def facts() -> dict:
    return page.read()


def test_every_pair_was_measured(facts):
    assert list(facts["pairs"]) == [str(pair) for pair in PAIRS], "run `make bench`"


def test_page_is_made_from_the_figures(facts):
    text = page.PAGE.read_text(encoding="utf-8")
    if facts.get("format") == page.FORMAT:
        assert text == page.render(facts), "run `make bench-page`"
    else:  # the figures have an earlier format: the page stays until `make bench` has run
        assert facts["commit"] in text


def test_charts_exist_for_light_and_dark_backgrounds(facts):
    if facts.get("format") != page.FORMAT:
        assert {file.suffix for file in page.CHARTS.iterdir()} == {".svg"}
        return
    drawn = {
        f"{chart.name}-{scheme}.svg" for chart in page.charts(facts) for scheme in page.SCHEMES
    }
    assert {file.name for file in page.CHARTS.iterdir()} == drawn


# --- The page, with invented figures ---


def run(per_second: float, spread: float = 0.02) -> dict:
    """Return an invented record of one workload."""
    ends = [per_second * (1 - spread), per_second * (1 + spread)]
    return {
        "per_second": per_second,
        "interval": ends,
        "rounds": [ends[0], per_second, ends[1]],
        "errors": 0,
        "p50_ms": 20.0,
        "p99_ms": 40.0,
    }


def invented(number: int) -> dict:
    """Return an invented record of a pair."""
    half = {
        "per_second": 500.0,
        "p50_ms": 2.0,
        "p99_ms": 10.0,
        "p99_interval": [8.0, 12.0],
        "errors": 0,
        "late": 0,
        "busy_percent": 50.0,
        "stolen_percent": 0.5,
    }
    ratios = {
        "over_documentation_baseline": 1.5,
        "proxied_over_direct": 0.97,
        "proxied_over_direct_half_a_cpu": 0.97,
        "over_flask_ceiling": 0.3,
        "cost_over_flask": 2.0,
        "application_over_flask": 2.0,
        "p99_over_direct_at_half_load": 1.1,
    }
    rates = ["json", "page", "compute", "wait", "mix", "half_cpu", "one_connection"]
    rates += ["static", "proxy", "upload", "stream"]
    return {
        **ratios,
        "intervals": {name: [value * 0.9, value * 1.1] for name, value in ratios.items()},
        "rounds": 5,
        "round_seconds": 5.0,
        "noise": {"stolen_percent": [0.1, 1.0], "load": [2.0, 3.0], "repeated": 0},
        "processes": 1,
        "threads": None if number % 2 else 4,
        "one_connection_p50_ms": 1.5,
        "half_load": {"direct": half, "proxied": half},
        "errors": 0,
        "documented_errors": 0,
        "cpu_us_per_response": {
            route: {"app": 500.0, "proxy": 100.0, "engine": 20.0}
            for route in ("direct", "proxied", "documented")
        },
        "ceilings_per_second": {"callable": 600000, "flask": 7000, "application": 4000},
        "work": {
            **{f"{name}_proxied": run(1000.0 + number) for name in rates},
            **{f"{name}_direct": run(1100.0) for name in rates},
            "json_documented": run(700.0),
        },
        "generation_s": 0.4,
        "least_generation_s": 0.3,
        "cold_build_s": 8.0,
        "rebuild_after_code_change_s": 1.0,
        "rebuild_after_dependency_change_s": 6.0,
        "start_to_healthy_s": 1.0,
        "idle_stop_s": 1.0,
        "idle_memory_mb": {"app": 36.0, "proxy": 5.0},
        "loaded_memory_mb": {"app": 40.0, "proxy": 6.0},
        "image_mb": 139.0,
        "image_over_base_mb": 13.0,
        "image_pushed_mb": 51.0,
        "proxy_image_mb": 97.0,
        "proxy_image_over_base_mb": 0.1,
        "proxy_image_pushed_mb": 37.0,
    }


@pytest.fixture
def record() -> dict:
    """Return an invented record of a whole run."""
    names = [*{one.pair for one in COMPARISONS}, *ALTERNATIVES]
    work = {f"{work}_{name}": run(1000.0) for work in ("json", "page", "wait") for name in names}
    return {
        "format": page.FORMAT,
        "machine": {"cpu": "A CPU", "cores": 2, "kernel": "6"},
        "python": "3.14",
        "commit": "abc",
        "measured": "2026-11-29",
        "pairs": {str(pair): invented(number) for number, pair in enumerate(PAIRS)},
        "alternatives": {
            "rounds": 5,
            "round_seconds": 5.0,
            "titles": {name: one.title for name, one in ALTERNATIVES.items()},
            "errors": dict.fromkeys(names, 0),
            "cpu_us_per_response": {each: {"app": 500.0, "engine": 20.0} for each in work},
            "noise": {"stolen_percent": [0.1], "load": [2.0], "repeated": 0},
            "work": work,
        },
    }


def row(text: str, begins: str) -> str:
    """Return the only table row whose first cell is ``begins``."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {begins} |"))
    return line


def test_a_page_shows_every_pair_and_its_interval(record):
    shown = page.render(record)
    for number, pair in enumerate(PAIRS):
        assert f"| {pair} | 1,100 (1,078–1,122) | {1000 + number:,} (" in shown  # noqa: RUF001


def test_figures_with_overlapping_intervals_are_equal(record):
    found = record["pairs"][str(PAIRS[0])]
    assert page.ratio("proxied_over_direct")(found).endswith(", equal")
    assert not page.ratio("over_documentation_baseline")(found).endswith(", equal")


def test_all_targets_are_met(record):
    for found in record["pairs"].values():
        found["cost_over_flask"] = 1.0
    shown = page.targets(record["pairs"])
    assert shown.count("| all met |") == len(PAIRS)


@pytest.mark.parametrize(
    ("figure", "value", "reason"),
    [
        ("over_documentation_baseline", 0.6, "application +400 µs, proxy +100 µs"),
        ("proxied_over_direct_half_a_cpu", 0.6, "application +300 µs"),
        ("p99_over_direct_at_half_load", 1.6, "application busy 50.0 → 50.0 %"),
        ("cost_over_flask", 26.0, "current 600 + 200 + 20 = 820 µs"),
        ("errors", 3, ""),
    ],
)
def test_a_missed_target_has_its_reason(record, figure, value, reason):
    found = record["pairs"][str(Pair(SERVERS[0], PROXIES[1]))]
    found[figure] = value
    found["intervals"][figure] = [value, value]
    costs = found["cpu_us_per_response"]
    costs["proxied"] = {"app": 600.0, "proxy": 200.0, "engine": 20.0}
    costs["direct"]["app"] = 300.0
    costs["documented"] = {"app": 200.0, "proxy": 100.0, "engine": 20.0}
    line = row(page.targets(record["pairs"]), str(Pair(SERVERS[0], PROXIES[1])))
    assert line.count(": missed**") == 1
    assert reason in line


def test_a_figure_equal_to_the_limit_meets_it(record):
    by_name = {target.figure: target for target in MAIN}
    found = {pair: record["pairs"][str(pair)] for pair in PAIRS}
    for each in found.values():
        each["over_documentation_baseline"] = 0.98
        each["intervals"]["over_documentation_baseline"] = [0.9, 1.06]
    missed = by_name["over_documentation_baseline"].missed(found)
    assert {pair.proxy for pair in missed} == {PROXIES[0]}


def test_compared_servers_were_measured(record):
    rows = [page.comparison(one, record["alternatives"]) for one in COMPARISONS]
    assert [row[-1] == "met" for row in rows] == [one.limit == 1 for one in COMPARISONS]


def test_bars_are_sorted_and_show_processes_and_threads(record):
    for chart in page.charts(record):
        values = [bar.value for bar in chart.bars]
        assert values in (sorted(values), sorted(values, reverse=True))
        assert all(" x " in bar.label for bar in chart.bars), chart.name


def test_page_and_charts_are_written(record, tmp_path: Path, monkeypatch):
    for name, file in (("FILE", "f.json"), ("PAGE", "p.md"), ("CHARTS", "charts")):
        monkeypatch.setattr(page, name, tmp_path / file)
    page.FILE.write_text(json.dumps(record))
    page.write()
    assert page.PAGE.read_text() == page.render(record)
    assert len(list(page.CHARTS.glob("*.svg"))) == len(page.charts(record)) * len(page.SCHEMES)


@pytest.mark.parametrize(
    ("part", "name"),
    [("pairs", str(PAIRS[3])), ("alternatives", "alternatives"), ("format", "every")],
)
def test_no_page_is_written_if_a_pair_is_missing(record, tmp_path: Path, monkeypatch, part, name):
    monkeypatch.setattr(page, "FILE", tmp_path / "f.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "p.md")
    match part:
        case "pairs":
            del record["pairs"][name]
        case "alternatives":
            record["alternatives"] = {}
        case _:
            del record["format"]
    page.FILE.write_text(json.dumps(record))
    with pytest.raises(SystemExit, match=name):
        page.write()
    assert not page.PAGE.exists()
