"""The checkout that is measured or tested."""

import subprocess

from tests.lib.template import ROOT


def commit() -> str:
    """Return the commit of this checkout, with ``-dirty`` if its files differ from the commit."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
