"""Memory: large allocations that a view releases, and a memory leak."""

import os
import time

from flask import Blueprint

blueprint = Blueprint("memory", __name__)

kept: list[bytes] = []


@blueprint.get("/local/<int:megabytes>")
def local(megabytes: int) -> dict[str, int]:
    """Use this amount of memory, and some more for small objects; release it."""
    large = b"x" * (megabytes << 20)
    small = [{"number": number} for number in range(10_000)]
    return {"length": len(large), "count": len(small)}


@blueprint.get("/kept/<int:megabytes>")
def keep(megabytes: int) -> dict[str, int]:
    """Leak this amount of memory."""
    kept.append(b"x" * (megabytes << 20))
    time.sleep(0.02)
    return {"pid": os.getpid()}
