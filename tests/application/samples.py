"""Files that the test application sends."""

import gzip
import os
from functools import cache
from pathlib import Path

# Files of short lines, and a sparse file of zeros without line ends, which needs no disk space.
LINES = 20_000_000
SIZES = {"empty": 0, "byte": 1, "page": 4096, "1m": 1_000_000, "20m": LINES}
HOLES = {"1g": 1_000_000_000}


@cache
def all_lines() -> bytes:
    return b"".join(b"%07d\n" % number for number in range(LINES // 8))


def lines(size: int) -> bytes:
    """Return ``size`` bytes of numbered lines."""
    return all_lines()[:size]


def write_samples(folder: Path) -> None:
    """Write all samples to a new folder."""
    folder.mkdir()
    for name, size in SIZES.items():
        (folder / name).write_bytes(lines(size))
    (folder / "1m.gz").write_bytes(gzip.compress(lines(SIZES["1m"])))
    for name, size in HOLES.items():
        with (folder / name).open("wb") as file:
            os.truncate(file.fileno(), size)
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)
