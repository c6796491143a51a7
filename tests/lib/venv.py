"""Create .venv with the pinned test tools, on a machine with Python but possibly without pip.

Standard library only: it runs before anything is installed.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.engine import debian

ROOT = Path(__file__).parents[2]
OLDEST = (3, 11)


def make(folder: Path, *requirements: Path) -> None:
    """Create a virtual environment in ``folder`` and install these hashed requirements into it.

    Debian has pip and ensurepip in separate packages; if they are missing, pip's wheel is unpacked
    from Debian's archive into a temporary folder. Raises SystemExit with the action to take.
    """
    if sys.version_info < OLDEST:
        raise SystemExit(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {sys.version.split()[0]}."
        )
    if folder.is_symlink():
        raise SystemExit(f"{folder} is a link, and its target would be emptied. Remove the link.")
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for file in requirements:
        arguments += ["--requirement", str(file)]
    python = folder / "bin" / "python"
    with TemporaryDirectory() as scratch:
        if importlib.util.find_spec("ensurepip"):
            venv.create(folder, with_pip=True, clear=True)
            pip = [python, "-m", "pip"]
        elif debian.is_usable():
            venv.create(folder, with_pip=False, clear=True)
            apt = debian.Apt(Path(scratch) / "apt", debian.suite())
            apt.prepare()
            apt.unpack(["python3-pip-whl"], Path(scratch) / "root")
            (wheel,) = Path(scratch).glob("root/usr/share/python-wheels/pip-*.whl")
            pip = [python, wheel / "pip"]
        else:
            raise SystemExit(
                "This Python cannot create virtual environments: install the package python3-venv."
            )
        if subprocess.run([*pip, *arguments], check=False).returncode:
            files = ", ".join(map(str, requirements))
            raise SystemExit(f"pip could not install {files}: see its error message above.")


if __name__ == "__main__":
    print("Installing the test tools into .venv …", file=sys.stderr)
    make(ROOT / ".venv", ROOT / "tests" / "requirements.txt")
