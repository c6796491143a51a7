"""`make bench-features`: what optional features of the proxies cost; write docs/features.json.

With `--before COMMIT`, the template of that commit is measured too, in the same rounds.
"""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lib.stack import Stack, prepare_engine
from tests.lib.template import FACTS, PROXIES, PYTHON_VERSIONS, ROOT, SERVERS, Pair
from tools.markdown import table

from ..git import commit
from . import load
from .__main__ import machine as about_machine
from .load import Work
from .measure import project_of, start
from .rounds import Sample, Step, summary, take
from .sizing import alternating, cpu_us, new_parser, running

Facts = dict[str, Any]
FILE = ROOT / "docs" / "features.json"

ROUNDS = 5
SECONDS = 3
ACCEPTING = ("Accept-Encoding: gzip",)
WORKS = {
    "small": Work("/bench/json", connections=32, headers=ACCEPTING),
    "page": Work("/bench/page", connections=32, headers=ACCEPTING),
}
# The settings that turn a feature on. The default comes first.
FEATURES: dict[str, dict[str, str]] = {
    "off": {},
    "COMPRESS=on": {"COMPRESS": "on"},
    "WEBSOCKETS=on": {"WEBSOCKETS": "on"},
}


@contextmanager
def worktree(name: str) -> Iterator[Path]:
    """Yield a checkout of another commit of this repository."""
    with TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", folder, name], check=True, capture_output=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True, capture_output=True)


def costs(proxy: str, before: str, rounds: int, seconds: int) -> Facts:
    """Return the rates and costs of the default server behind a proxy, by feature and work."""
    pair = Pair(SERVERS[0], proxy)
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    with ExitStack() as exits:

        def started(template: Path, suffix: str = "") -> Stack:
            project, _ = exits.enter_context(project_of(pair, template, suffix))
            return exits.enter_context(start(pair, project))

        stack = started(ROOT)
        variants = [(name, stack, settings) for name, settings in FEATURES.items()]
        if before:
            earlier = started(exits.enter_context(worktree(before)), "-before")
            variants.insert(0, (f"before, {before}", earlier, {}))
        for name, running_stack, settings in alternating(variants, rounds):
            with running(running_stack, **settings) as deployment:
                for kind, work in WORKS.items():
                    sample = take(Step(kind, "proxied", work, deployment, seconds))
                    found[name, kind].append(sample)
    return {
        name: {
            kind: summary([sample.outcome for sample in found[name, kind]])
            | {f"{part}_us": cpu_us(found[name, kind], part) for part in ("app", "proxy")}
            for kind in WORKS
        }
        for name, *_ in variants
    }


def features() -> str:
    """Return the tables of the page, one for each proxy."""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    parts = [
        f"Measured on {recorded['machine']['cores']} cores ({recorded['machine']['cpu']}), from"
        f" commit {recorded['commit']}, on {recorded['measured']}: medians of {recorded['rounds']}"
        f" rounds of {recorded['round_seconds']} s, for {FACTS['_servers'][SERVERS[0]]['title']}."
    ]
    head = ["feature"]
    for kind in WORKS:
        head += [f"{kind}: per second", "application, µs", "proxy, µs"]
    for proxy, rows in recorded["proxies"].items():
        lines = []
        for name, kinds in rows.items():
            line = [f"`{name}`" if "=" in name else name]
            for measured in kinds.values():
                least, most = measured["interval"]
                line.append(f"{measured['per_second']:,.0f} ({least:,.0f} to {most:,.0f})")
                line += [f"{measured[f'{part}_us']:.0f}" for part in ("app", "proxy")]
            lines.append(line)
        parts.append(f"**{FACTS['_proxies'][proxy]['title']}**\n\n" + "\n".join(table(head, lines)))
    return "\n\n".join(parts)


def main() -> None:
    """Measure both proxies; write the file."""
    parser = new_parser("bench-features", __doc__, ROUNDS, SECONDS)
    parser.add_argument("--before", default="", help="a commit whose template is measured too")
    chosen = parser.parse_args()
    prepare_engine(PYTHON_VERSIONS[:1], PROXIES)
    load.build()
    facts: Facts = {
        "machine": about_machine(),
        "commit": commit(),
        "measured": datetime.now(UTC).date().isoformat(),
        "rounds": chosen.rounds,
        "round_seconds": chosen.seconds,
        "proxies": {
            proxy: costs(proxy, chosen.before, chosen.rounds, chosen.seconds) for proxy in PROXIES
        },
    }
    FILE.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
