"""Values that a proxy's container derives from its environment at startup."""

import subprocess
from pathlib import Path

import pytest

from tests.lib.template import FOLDER

(SCRIPT,) = (FOLDER / "variants/proxy").rglob("16-settings.envsh")
pytestmark = pytest.mark.posix


def settings(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script as on a machine with four CPUs whose /sys/fs/cgroup is ``folder``."""
    nproc = folder / "nproc"
    nproc.write_text("#!/bin/sh\necho 4\n")
    nproc.chmod(0o755)
    script = SCRIPT.read_text(encoding="utf-8").replace("/sys/fs/cgroup", str(folder))
    script = script.replace("/usr/local/bin", f"'{FOLDER}/proxy/usr/local/bin'")
    return subprocess.run(
        ["sh", "-c", f'{script}\necho "$NGINX_WORKERS|$NGINX_TRUSTED_NETWORKS"'],
        env={"PATH": f"{folder}:/usr/bin:/bin", "MAX_CONTENT_LENGTH": "10485760"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("files", "workers"),
    [
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "800000 100000\n"}, 4),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({}, 4),
    ],
    ids=str,
)
def test_workers_are_as_many_as_the_cpus(files: dict[str, str], workers: int, tmp_path: Path):
    """There is one worker per CPU that the container may use; fractions are rounded up."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert settings(tmp_path).stdout.partition("|")[0] == str(workers)


def test_trusted_networks_are_lines_of_a_geo_block(tmp_path: Path):
    found = settings(tmp_path, TRUSTED_NETWORKS="10.0.0.0/8 2001:db8::/32").stdout
    assert found.partition("|")[2] == "10.0.0.0/8 1; 2001:db8::/32 1; \n"


@pytest.mark.parametrize(
    ("prefix", "is_path"),
    [
        ("", True),
        ("/blog", True),
        ("/a/b.c_~-", True),
        ("blog", False),
        ("/blog/", False),
        ("/", False),
        ("/a b", False),
    ],
)
def test_an_invalid_prefix_is_rejected(prefix: str, is_path: bool, tmp_path: Path):
    found = settings(tmp_path, URL_PREFIX=prefix)
    assert (found.returncode == 0) == is_path
    assert ("URL_PREFIX must be a path" in found.stderr) != is_path
