"""Memory: what a view uses for itself, and what it never gives back."""

import os
import time

from flask import Blueprint

blueprint = Blueprint("memory", __name__)

kept: list[bytes] = []


@blueprint.get("/local/<int:megabytes>")
def local(megabytes: int) -> dict[str, int]:
    """Use so much memory, and some more in small objects; keep none."""
    large = b"x" * (megabytes << 20)
    small = [{"number": number} for number in range(10_000)]
    return {"length": len(large), "count": len(small)}


@blueprint.get("/kept/<int:megabytes>")
def keep(megabytes: int) -> dict[str, int]:
    """Keep so much memory, as an application with a leak does."""
    kept.append(b"x" * (megabytes << 20))
    time.sleep(0.02)
    return {"pid": os.getpid()}
