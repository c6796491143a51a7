"""A target's page, followed literally: a shell runs the commands under one of its headings."""

import re
import subprocess
from pathlib import Path


def commands(page: Path, heading: str) -> str:
    """Return the commands under a heading: its ```console blocks; the others are to be adapted."""
    sections = re.split(r"^## (.+)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = sections[sections.index(heading) + 1]
    found = re.findall(r"^```console\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no commands under {heading!r}"
    return "".join(found)


def follow(page: Path, heading: str, *, folder: Path, without: str = "") -> str:
    """Run the commands under a heading in a project's folder; return what they printed.

    Those that match ``without`` are left out: this machine cannot run them.
    """
    lines = commands(page, heading).splitlines()
    if without:
        kept = [line for line in lines if not re.match(without, line)]
        assert len(kept) < len(lines), f"{page} has no command {without!r} under {heading!r}"
        lines = kept
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "\n".join(lines)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
