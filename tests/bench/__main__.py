"""`make bench`: measure every pair, and write docs/performance.json and the page made from it."""

import argparse
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.stack import prepare_engine
from tests.harness.template import PAIRS, PROXIES, PYTHON_VERSIONS, ROOT, Pair

from . import load, page
from .measure import measure, measure_ratios

# A ratio may be so much lower than the recorded one before it counts as a loss: a machine that
# others share moves it by some hundredths.
TOLERANCE = 0.8
# By rates, Flask's share would fall with what else the machine does, too.
CHECKED = ("proxied_over_direct_half_a_cpu", "flask_share_of_cpu_time")
# A check has few things to measure, so it measures them more often.
ROUNDS = 2
CHECK_ROUNDS = 6


def machine() -> dict[str, object]:
    """Say what the figures were measured on."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {"cpu": names[0], "cores": os.cpu_count(), "kernel": platform.release()}


def commit() -> str:
    """Return the commit that is measured."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def record(pairs: list[Pair], rounds: int) -> None:
    """Measure the pairs; write what was found, and the page once every pair has been measured."""
    known = json.loads(page.FILE.read_text(encoding="utf-8")) if page.FILE.exists() else {}
    facts = {
        "machine": machine(),
        "python": PYTHON_VERSIONS[0],
        "commit": commit(),
        "measured": datetime.now(UTC).date().isoformat(),
        # Those that are not measured this time keep what they had.
        "pairs": known.get("pairs", {}),
    }
    for pair in pairs:
        began = time.monotonic()
        facts["pairs"][str(pair)] = found = measure(pair, rounds)
        print(f"{pair}: {time.monotonic() - began:.0f} s, {found['errors']} errors", flush=True)
        page.FILE.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if missing := [str(pair) for pair in PAIRS if str(pair) not in facts["pairs"]]:
        raise SystemExit(f"No page yet: {', '.join(missing)} were never measured.")
    page.write()


def check(pairs: list[Pair], rounds: int) -> None:
    """Compare the pairs' ratios with the recorded ones. Raises SystemExit if one fell too far."""
    known = json.loads(page.FILE.read_text(encoding="utf-8")) if page.FILE.exists() else {}
    recorded = known.get("pairs", {})
    if missing := [str(pair) for pair in pairs if str(pair) not in recorded]:
        raise SystemExit(f"Nothing to compare with: run `make bench` for {', '.join(missing)}.")
    fallen = []
    for pair in pairs:
        found = measure_ratios(pair, rounds)
        print(f"{pair}: {found}", flush=True)
        if found["errors"]:
            fallen.append(f"{pair}: {found['errors']} requests failed")
        for name in CHECKED:
            now, least = found[name], TOLERANCE * recorded[str(pair)][name]
            if now < least:
                fallen.append(f"{pair}: {name} is {now:.3f}, which should be {least:.3f}")
    if fallen:
        raise SystemExit("\n".join(fallen))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--pair", action="append", choices=[str(pair) for pair in PAIRS])
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS}, or {CHECK_ROUNDS} to check")
    parser.add_argument("--check", action="store_true", help="compare with the recorded ratios")
    chosen = parser.parse_args()
    pairs = [pair for pair in PAIRS if not chosen.pair or str(pair) in chosen.pair]
    prepare_engine(PYTHON_VERSIONS[:1], PROXIES)
    load.build()
    if chosen.check:
        check(pairs, chosen.rounds or CHECK_ROUNDS)
    else:
        record(pairs, chosen.rounds or ROUNDS)


if __name__ == "__main__":
    main()
