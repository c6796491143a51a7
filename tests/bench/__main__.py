"""`make bench`: measure every pair, and write docs/performance.json and the page made from it."""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.stack import prepare_engine
from tests.harness.template import PAIRS, PROXIES, PYTHON_VERSIONS, ROOT, SERVERS, Pair

from . import load, page
from .measure import CHECK_SECONDS, measure, measure_cost, side_by_side

ROUNDS = 5
SECONDS = 5
# What a check compares, and how many times the recorded figure each may be. It is called higher
# where all of the check's rounds are: what a machine does beside adds to some, and takes from none.
# Called in its own process, the application hardly varies, so that some middleware is seen there; a
# connection for each request, or a line more in a log, is by what the whole pair takes.
CHECKED = {"cost_over_flask": 1.25, "application_over_flask": 1.1}


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


def timed(name: str, measured: Callable[[], page.Facts]) -> page.Facts:
    """Return what was measured, and say how long that took."""
    began = time.monotonic()
    found = measured()
    print(f"{name}: {time.monotonic() - began:.0f} s, errors: {found['errors']}", flush=True)
    return found


def current(file: Path) -> tuple[Path, page.Facts]:
    """Return the file of this bench's figures, and what is in it.

    The figures of an earlier bench, and their page, stay until the new ones are whole.
    """
    known = page.read(file)
    if known and known.get("format") != page.FORMAT:
        file = file.with_suffix(".new.json")
        known = page.read(file)
    return file, known


def record(file: Path, pairs: list[Pair], neighbours: bool, rounds: int, seconds: int) -> None:
    """Measure the pairs and their neighbours; write what was found to a file after each.

    Those that are not measured this time keep what they had, if this bench measured it.
    """
    target = file
    file, known = current(target)
    facts = {
        "format": page.FORMAT,
        "machine": machine(),
        "python": PYTHON_VERSIONS[0],
        "commit": commit(),
        "measured": datetime.now(UTC).date().isoformat(),
        "neighbours": known.get("neighbours", {}),
        "pairs": known.get("pairs", {}),
    }

    def save() -> None:
        # In the order in which the pairs are told everywhere.
        facts["pairs"] = {
            str(pair): facts["pairs"][str(pair)] for pair in PAIRS if str(pair) in facts["pairs"]
        }
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    if neighbours:
        facts["neighbours"] = timed("neighbours", lambda: side_by_side(rounds, seconds))
        save()
    for pair in pairs:
        facts["pairs"][str(pair)] = timed(
            str(pair), lambda pair=pair: measure(pair, rounds, seconds)
        )
        save()
    if absent := page.missing(facts):
        raise SystemExit(
            f"No page yet, for want of {', '.join(absent)}; the figures are in {file}."
        )
    file.replace(target)
    if target == page.FILE:
        page.write()


def check(file: Path, pairs: list[Pair], rounds: int, seconds: int) -> None:
    """Compare what an answer costs with what is recorded. Raises SystemExit if it costs more."""
    recorded = current(file)[1].get("pairs", {})
    if missing := [
        str(pair) for pair in pairs if CHECKED.keys() - recorded.get(str(pair), {}).keys()
    ]:
        raise SystemExit(f"Nothing to compare with: run `make bench` for {', '.join(missing)}.")
    higher = []
    for pair in pairs:
        found, known = measure_cost(pair, rounds, seconds), recorded[str(pair)]
        print(f"{pair}: {found['cpu_us_per_answer']} µs, {found['errors']} errors", flush=True)
        if found["errors"]:
            higher.append(f"{pair}: {found['errors']} requests failed")
        for name, tolerance in CHECKED.items():
            (least, most), limit = found["intervals"][name], tolerance * known[name]
            print(f"{pair}: {name} {found[name]} ({least} to {most}), {known[name]} recorded")
            if least > limit:
                higher.append(f"{pair}: {name} is {least} at least; {limit:.3f} is the most")
    if higher:
        raise SystemExit("\n".join(higher))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--pair", action="append", choices=[str(pair) for pair in PAIRS])
    parser.add_argument("--neighbours", action="store_true", help="measure these, and named pairs")
    parser.add_argument("--check", action="store_true", help="compare with the recorded costs")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"{ROUNDS}, or more")
    parser.add_argument("--seconds", type=int, help="of each figure in a round; for a trial: 1")
    parser.add_argument("--file", type=Path, default=page.FILE, help="what is read and written")
    chosen = parser.parse_args()
    prepare_engine(PYTHON_VERSIONS[:1], PROXIES)
    load.build()
    if chosen.check:
        # The default server's: of each proxy there is one who would notice a change to it.
        named = chosen.pair or [str(Pair(SERVERS[0], proxy)) for proxy in PROXIES]
        pairs = [pair for pair in PAIRS if str(pair) in named]
        check(chosen.file, pairs, chosen.rounds, chosen.seconds or CHECK_SECONDS)
    else:
        everything = not chosen.pair and not chosen.neighbours
        pairs = [pair for pair in PAIRS if everything or str(pair) in (chosen.pair or [])]
        record(
            *(chosen.file, pairs, everything or chosen.neighbours),
            *(chosen.rounds, chosen.seconds or SECONDS),
        )


if __name__ == "__main__":
    main()
