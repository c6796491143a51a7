"""`make mutations`: apply mutations to the template one at a time, and check that tests fail.

Writes docs/mutations.md. Ends with status 1 if a mutation survived.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.lib.template import ROOT
from tests.pairs.mutations import MUTATIONS, Mutation

from .markdown import table

PAGE = ROOT / "docs" / "mutations.md"
HEAD = """# Mutations

Each line is a deliberate fault in the template, and the first test that detected it.
`make mutations` generates this page. [tests/pairs/mutations.py](../tests/pairs/mutations.py) has
the faults.
"""
SURVIVED = "**none**"


def seen_by(number: int) -> str:
    """Apply one mutation; return the test that failed first, or SURVIVED."""
    mutation = MUTATIONS[number]
    arguments = [
        "--pair",
        mutation.pair,
        "--mutation",
        str(number),
        "--exitfirst",
        "--tb=line",
        mutation.tests,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.search(r"^(?:FAILED|ERROR) [^\s:]*::(\w+(?:\[.*\])?)", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        return SURVIVED
    if done.returncode != 1 or not failed:
        raise SystemExit(f"{mutation}: the tests could not be run:\n{done.stdout}{done.stderr}")
    if f"{mutation.pair} did not start" in done.stdout:
        return "the pair does not start"
    name = failed[1].replace(f"[{mutation.pair}]", "").replace(f"[{mutation.pair}-", "[")
    return f"`{name}`"


def row(mutation: Mutation, seen: str) -> list[str]:
    """Return a row of the page's table."""

    def code(text: str) -> str:
        return f"`{' '.join(text.split())}`".replace("|", "\\|") if text.strip() else "nothing"

    return [mutation.concern, mutation.pair, code(mutation.old), code(mutation.new), seen]


def recorded() -> dict[tuple[str, ...], str]:
    """Return the page's rows: the test that detected a mutation, by the row's other cells."""
    rows = re.findall(r"^\| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [re.split(r"(?<!\\) \| ", text) for text in rows]
    return {tuple(mutation): seen for *mutation, seen in cells if seen != SURVIVED}


def main() -> None:
    """Test all mutations in parallel, at least two at a time."""
    parser = argparse.ArgumentParser(prog="make mutations", description=__doc__)
    parser.add_argument("--new", action="store_true", help="only those that the page does not have")
    known = recorded() if parser.parse_args().new else {}
    rows = []

    def detected(number: int) -> str:
        return known.get(tuple(row(MUTATIONS[number], "")[:-1])) or seen_by(number)

    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        for mutation, seen in zip(
            MUTATIONS, pool.map(detected, range(len(MUTATIONS))), strict=True
        ):
            print(f"{mutation}: {seen}", flush=True)
            rows.append(row(mutation, seen))
    lines = [HEAD, *table(["concern", "pair", "original", "fault", "detected by"], rows)]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    if survivors := [row for row in rows if row[-1] == SURVIVED]:
        raise SystemExit(f"{len(survivors)} survived: write a test for each that detects it.")


if __name__ == "__main__":
    main()
