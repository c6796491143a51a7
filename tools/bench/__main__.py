"""`make bench`: measure every pair, and write docs/performance.json and the page made from it."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.lib.stack import prepare_engine
from tests.lib.template import PAIRS, PROXIES, PYTHON_VERSIONS, SERVERS, Pair

from ..git import commit
from . import load, page
from .measure import CHECK_SECONDS, measure, measure_alternatives, measure_cost

ROUNDS = 5
SECONDS = 5
# The figures that a check compares, and their maximum ratios to the recorded figures. A check fails
# only if all of its rounds are above the limit: other load on the machine raises the figures of
# some rounds and lowers none. The application's figure, measured in one process, hardly varies and
# shows added middleware; that of the whole pair shows a new connection or log line per request.
CHECKED = {"cost_over_flask": 1.25, "application_over_flask": 1.1}


def machine() -> dict[str, object]:
    """Return the CPU, the number of cores and the kernel of this machine."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {"cpu": names[0], "cores": os.cpu_count(), "kernel": platform.release()}


def timed(name: str, measured: Callable[[], page.Facts]) -> page.Facts:
    """Return the measured figures with the commit, and print the duration."""
    began = time.monotonic()
    found = measured()
    print(f"{name}: {time.monotonic() - began:.0f} s, errors: {found['errors']}", flush=True)
    return found | {"commit": commit()}


def current(file: Path) -> tuple[Path, page.Facts]:
    """Return the file for this bench's figures, and its content.

    Figures in an earlier format and their page stay until the new figures are complete.
    """
    recorded = page.read(file)
    if recorded and recorded.get("format") != page.FORMAT:
        file = file.with_suffix(".new.json")
        recorded = page.read(file)
    return file, recorded


def record(file: Path, pairs: list[Pair], alternatives: bool, rounds: int, seconds: int) -> None:
    """Measure the pairs and the alternatives; write the figures to a file after each.

    The others keep their recorded figures, if these have the current format.
    """
    target = file
    file, recorded = current(target)
    facts = {
        "format": page.FORMAT,
        "machine": machine(),
        "python": PYTHON_VERSIONS[0],
        "measured": datetime.now(UTC).date().isoformat(),
        "alternatives": recorded.get("alternatives", {}),
        "pairs": recorded.get("pairs", {}),
    }

    def save() -> None:
        # Figures of several runs may be from several commits.
        parts = [facts["alternatives"], *facts["pairs"].values()]
        facts["commit"] = ", ".join(sorted({part["commit"] for part in parts if "commit" in part}))
        # In the order of PAIRS.
        facts["pairs"] = {
            str(pair): facts["pairs"][str(pair)] for pair in PAIRS if str(pair) in facts["pairs"]
        }
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    if alternatives:
        facts["alternatives"] = timed("alternatives", lambda: measure_alternatives(rounds, seconds))
        save()
    for pair in pairs:
        facts["pairs"][str(pair)] = timed(
            str(pair), lambda pair=pair: measure(pair, rounds, seconds)
        )
        save()
    if absent := page.missing(facts):
        raise SystemExit(
            f"The page needs figures of {', '.join(absent)}; the figures are in {file}."
        )
    file.replace(target)
    if target == page.FILE:
        page.write()


def check(file: Path, pairs: list[Pair], rounds: int, seconds: int) -> None:
    """Compare the cost of a response with the recorded cost. Raise SystemExit if it is higher."""
    recorded = current(file)[1].get("pairs", {})
    if missing := [
        str(pair) for pair in pairs if CHECKED.keys() - recorded.get(str(pair), {}).keys()
    ]:
        raise SystemExit(f"No recorded figures: run `make bench` for {', '.join(missing)}.")
    higher = []
    for pair in pairs:
        found, former = measure_cost(pair, rounds, seconds), recorded[str(pair)]
        print(f"{pair}: {found['cpu_us_per_response']} µs, {found['errors']} errors", flush=True)
        if found["errors"]:
            higher.append(f"{pair}: {found['errors']} requests failed")
        for name, tolerance in CHECKED.items():
            (least, most), limit = found["intervals"][name], tolerance * former[name]
            print(f"{pair}: {name} {found[name]} ({least} to {most}), {former[name]} recorded")
            if least > limit:
                higher.append(f"{pair}: {name} is at least {least}; the limit is {limit:.3f}")
    if higher:
        raise SystemExit("\n".join(higher))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--pair", action="append", choices=[str(pair) for pair in PAIRS])
    parser.add_argument("--alternatives", action="store_true", help="measure these and --pair")
    parser.add_argument("--check", action="store_true", help="compare with the recorded costs")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"{ROUNDS} or more")
    parser.add_argument("--seconds", type=int, help="per figure in a round; for a trial: 1")
    parser.add_argument("--file", type=Path, default=page.FILE, help="the file with the figures")
    chosen = parser.parse_args()
    prepare_engine(PYTHON_VERSIONS[:1], PROXIES)
    load.build()
    if chosen.check:
        # The default server's pairs: one for each proxy, to detect changes to either.
        names = chosen.pair or [str(Pair(SERVERS[0], proxy)) for proxy in PROXIES]
        pairs = [pair for pair in PAIRS if str(pair) in names]
        check(chosen.file, pairs, chosen.rounds, chosen.seconds or CHECK_SECONDS)
    else:
        everything = not chosen.pair and not chosen.alternatives
        pairs = [pair for pair in PAIRS if everything or str(pair) in (chosen.pair or [])]
        record(
            *(chosen.file, pairs, everything or chosen.alternatives),
            *(chosen.rounds, chosen.seconds or SECONDS),
        )


if __name__ == "__main__":
    main()
