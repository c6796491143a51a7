"""`make differential SECONDS=600`: search for differences between pairs that nobody knows of."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.harness.stack import prepare_engine
from tests.harness.template import PAIRS, PROXIES, PYTHON_VERSIONS

from .case import corpus
from .compare import accepted, compare, report, unexplained
from .fleet import Fleet, run_fleet


def run_corpus(fleet: Fleet) -> int:
    """Send the corpus; print what is unexplained, and return how many causes that has."""
    cases = corpus()
    found = fleet.run_all(cases)
    entries = accepted()
    left = [
        difference
        for case, observations in zip(cases, found, strict=True)
        for difference in unexplained(compare(case, observations), entries)
    ]
    print(report(left))
    return len({difference.cause for difference in left})


def main() -> int:
    """Read the command line, start the pairs, and compare them."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long to search")
    parser.add_argument("--corpus", action="store_true", help="send the corpus instead")
    parser.add_argument(
        "--pair", action="append", choices=[str(pair) for pair in PAIRS], help="may be repeated"
    )
    chosen = parser.parse_args()
    pairs = [pair for pair in PAIRS if not chosen.pair or str(pair) in chosen.pair]
    prepare_engine(PYTHON_VERSIONS, PROXIES)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, run_fleet(pairs, Path(folder)) as fleet:
        print(f"started {len(pairs)} pairs in {time.monotonic() - began:.0f} s", file=sys.stderr)
        began = time.monotonic()
        causes = run_corpus(fleet)
        took = time.monotonic() - began
        print(f"{fleet.sent} sent in {took:.0f} s; {causes} unexplained causes", file=sys.stderr)
    return 1 if causes else 0


if __name__ == "__main__":
    sys.exit(main())
