"""Unit tests of the bench, without real measurements."""

import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.lib.template import PAIRS, PROXIES, SERVERS
from tools.bench import __main__ as bench
from tools.bench import page, rounds
from tools.bench.alternatives import ALTERNATIVES
from tools.bench.figures import CONFIDENCE, Figure, interval
from tools.bench.load import Pace, paced
from tools.bench.targets import COMPARISONS, FORMER_COSTS

# --- Figures ---


def test_interval_of_five_rounds_is_from_minimum_to_maximum():
    assert interval([3, 1, 2, 5, 4]) == (1, 5)


@pytest.mark.parametrize("count", range(5, 40))
def test_interval_is_the_narrowest_with_the_required_confidence(count: int):
    least, most = interval(range(count))
    assert least + most == count - 1, "the interval is not symmetric"

    def confidence(left_out: int) -> float:
        return 1 - 2 * sum(math.comb(count, below) for below in range(left_out + 1)) / 2**count

    assert confidence(least) >= CONFIDENCE
    assert confidence(least + 1) < CONFIDENCE


def test_interval_of_a_ratio_contains_1_if_and_only_if_figures_overlap():
    ends = range(1, 6)
    figures = [Figure((a + b) / 2, a, b) for a, b in itertools.combinations(ends, 2)]
    for one, other in itertools.product(figures, figures):
        overlap = one.low <= other.high and other.low <= one.high
        found = one / other
        assert (found.low <= 1 <= found.high) == overlap


# --- Rounds ---


def run_rounds(monkeypatch, noise: list[float], count: int, repeats: int = 1):
    """Run rounds of three steps; return the rounds and the order of the steps."""
    taken = []

    def take(step):
        taken.append(step.name)
        outcome = SimpleNamespace(per_second=float(len(taken)), errors=1)
        return SimpleNamespace(outcome=outcome, cost={}, before={})

    left = iter(noise)
    monkeypatch.setattr(rounds, "load", lambda: 1.0)
    monkeypatch.setattr(rounds, "take", take)
    monkeypatch.setattr(rounds.Noise, "stolen_percent", lambda _: next(left))
    steps = [rounds.Step(name, "direct", None, None, 1) for name in "abc"]
    return rounds.run_rounds(steps, count, repeats=repeats), "".join(taken)


def test_every_second_round_is_reversed(monkeypatch):
    _, taken = run_rounds(monkeypatch, [0] * 5, 5)
    assert taken == "abccbaabccbaabc"


def test_a_noisy_round_is_repeated_and_excluded(monkeypatch):
    found, taken = run_rounds(monkeypatch, [0, 9, 0, 1], 3)
    assert len(taken) == 4 * 3
    assert sorted(each.stolen_percent for each in found.counted) == [0, 0, 1]
    assert found.noise()["repeated"] == 1
    assert found.errors() == 12, "the errors of excluded rounds count, too"


def test_a_round_with_a_high_load_average_is_noisy():
    each = rounds.Round({}, 0.0, 100.0)
    assert each.noise() > rounds.Round({}, rounds.NOISY_PERCENT, 1.0).noise()


def test_repeats_are_limited(monkeypatch):
    found, taken = run_rounds(monkeypatch, [9, 8, 7, 6], 3)
    assert len(taken) == 4 * 3
    assert sorted(each.stolen_percent for each in found.counted) == [6, 7, 8]


# --- Load at a fixed rate ---


@pytest.mark.parametrize("rate", [7, 99.5, 250, 345, 501, 690, 1000, 1480, 2900])
def test_pace_is_near_the_rate_and_not_above(rate: float):
    pace = Pace.within(rate)
    assert 0.75 * rate <= pace.per_second <= rate
    assert pace.at_a_time <= 5


def test_results_have_latencies_failures_and_late_requests():
    lines = [f"{number * 10_000}\t200\t{2000 if number % 100 else 90_000}" for number in range(500)]
    found = paced("\n".join([*lines, "5000000\t503\t100"]), requests=503, pause_ms=80)
    assert found.per_second == pytest.approx(100, rel=0.01)
    assert (found.p50_ms, found.responses, found.errors, found.late) == (2.0, 500, 3, 5)
    assert found.p99_ms_of_parts == (2.0,) * 5, "1 of 100 requests in each part was slow"


def test_a_run_without_a_response_is_an_error():
    with pytest.raises(RuntimeError, match="none of 10"):
        paced("1\t503\t100", requests=10, pause_ms=1)


# --- Recorded figures, and comparison with them ---

COST = {
    "cost_over_flask": 10.0,
    "application_over_flask": 2.0,
    "intervals": {"cost_over_flask": [9.5, 11], "application_over_flask": [1.95, 2.1]},
    "errors": 0,
    "cpu_us_per_response": {"app": 1.0},
}
DEFAULTS = [pair for pair in PAIRS if pair.server == SERVERS[0]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "performance.json"
    made.write_text(
        json.dumps(
            {
                "format": page.FORMAT,
                "alternatives": {"errors": {}},
                "pairs": {str(pair): COST for pair in PAIRS},
            }
        )
    )
    return made


def test_check_passes_without_a_change(file, monkeypatch):
    monkeypatch.setattr(bench, "measure_cost", lambda *_: COST)
    bench.check(file, DEFAULTS, 5, 3)


@pytest.mark.parametrize(
    ("figure", "ends"),
    # One connection per request; 100 µs of middleware in addition to the application's 200 µs.
    [("cost_over_flask", [15.0, 19.0]), ("application_over_flask", [2.9, 3.1])],
)
def test_check_detects_higher_costs(file, monkeypatch, figure, ends):
    found = COST | {figure: sum(ends) / 2, "intervals": COST["intervals"] | {figure: ends}}
    monkeypatch.setattr(bench, "measure_cost", lambda *_: found)
    with pytest.raises(SystemExit, match=figure):
        bench.check(file, DEFAULTS, 5, 3)


def test_check_detects_failed_requests(file, monkeypatch):
    monkeypatch.setattr(bench, "measure_cost", lambda *_: COST | {"errors": 2})
    with pytest.raises(SystemExit, match="2 requests failed"):
        bench.check(file, DEFAULTS, 5, 3)


def test_check_reports_missing_figures(file):
    file.write_text(json.dumps({"pairs": {str(pair): {"errors": 0} for pair in PAIRS}}))
    with pytest.raises(SystemExit, match=f"run `make bench` for {PAIRS[0]}"):
        bench.check(file, DEFAULTS, 5, 3)


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Replace the measurements; return the names of the requested ones."""
    names: list[str] = []

    def measure(pair, *_):
        names.append(str(pair))
        return {"errors": 0, "measured": "now"}

    def measure_alternatives(*_):
        names.append("alternatives")
        return {"errors": {}, "measured": "now"}

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench, "measure_alternatives", measure_alternatives)
    monkeypatch.setattr(bench, "commit", lambda: "abc")
    return names


def test_one_pair_can_be_measured_alone(file, measured):
    bench.record(file, [PAIRS[3]], alternatives=False, rounds=5, seconds=5)
    found = json.loads(file.read_text())
    assert measured == [str(PAIRS[3])]
    assert found["pairs"][str(PAIRS[3])]["measured"] == "now"
    assert found["pairs"][str(PAIRS[2])] == COST
    assert list(found["pairs"]) == [str(pair) for pair in PAIRS]


def test_figures_of_an_earlier_bench_stay_until_all_are_new(file, measured, monkeypatch):
    old = json.dumps({"pairs": {str(PAIRS[0]): {"errors": 0}}})
    file.write_text(old)
    written = []
    monkeypatch.setattr(page, "FILE", file)
    monkeypatch.setattr(page, "write", lambda: written.append(json.loads(file.read_text())))
    with pytest.raises(SystemExit, match=f"{PAIRS[1]}.*alternatives; the figures are in .*new"):
        bench.record(file, [PAIRS[0]], alternatives=False, rounds=5, seconds=5)
    assert (file.read_text(), written) == (old, [])
    bench.record(file, list(PAIRS[1:]), alternatives=True, rounds=5, seconds=5)
    (found,) = written
    assert list(found["pairs"]) == [str(pair) for pair in PAIRS]
    assert list(file.parent.iterdir()) == [file]


# --- What is measured ---


def test_former_costs_are_those_of_pairs():
    assert set(FORMER_COSTS) <= {str(pair) for pair in PAIRS}


def test_compared_servers_are_measured():
    measured = {*(one.pair for one in COMPARISONS), *ALTERNATIVES}
    assert {name for one in COMPARISONS for name in (one.pair, one.other)} <= measured


def test_proxies_of_alternatives_are_supported():
    assert {one.setup.proxy for one in ALTERNATIVES.values()} <= {"", *PROXIES}
