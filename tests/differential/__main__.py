"""`make differential SECONDS=600`: search for unknown differences between pairs."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.lib.stack import prepare_engine
from tests.lib.template import PAIRS, PROXIES, PYTHON_VERSIONS

from .case import corpus
from .compare import Accepted, accepted, compare, report, unexplained
from .fleet import Fleet, run_fleet
from .search import Search


def run_corpus(fleet: Fleet, entries: list[Accepted]) -> int:
    """Send the corpus; print the unexplained differences, and return the number of causes."""
    cases = corpus()
    began = time.monotonic()
    found = fleet.run_all(cases)
    left = [
        difference
        for case, observations in zip(cases, found, strict=True)
        for difference in unexplained(compare(case, observations), entries)
    ]
    took = time.monotonic() - began
    print(report(left))
    causes = len({difference.cause for difference in left})
    print(f"\n{fleet.sent} connections in {took:.0f} s; {causes} unexplained causes")
    return causes


def run_search(fleet: Fleet, entries: list[Accepted], seconds: int, seed: int) -> int:
    """Search; print the differences found, and return their number."""
    print(f"seed {seed}", file=sys.stderr)
    search = Search(fleet, entries, time.monotonic() + seconds)
    search.run(Random(seed))  # noqa: S311 (it chooses requests, no secrets)
    print(report(search.found))
    print(f"\n{search.summary()}")
    return len(search.found)


def main() -> int:
    """Parse the command line, start the pairs, and compare them."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long to search")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="of the search")
    parser.add_argument("--corpus", action="store_true", help="send the corpus instead")
    parser.add_argument("--features", action="store_true", help="turn optional features on")
    parser.add_argument(
        "--pair", action="append", choices=[str(pair) for pair in PAIRS], help="may be repeated"
    )
    chosen = parser.parse_args()
    pairs = [pair for pair in PAIRS if not chosen.pair or str(pair) in chosen.pair]
    # Also remove the stacks after SIGTERM, which for example a workflow's time limit sends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    prepare_engine(PYTHON_VERSIONS, PROXIES)
    entries = accepted(features=chosen.features)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_fleet(pairs, Path(folder), features=chosen.features) as fleet,
    ):
        print(f"started {len(pairs)} pairs in {time.monotonic() - began:.0f} s", file=sys.stderr)
        if chosen.corpus:
            left = run_corpus(fleet, entries)
        else:
            left = run_search(fleet, entries, chosen.seconds, chosen.seed)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
