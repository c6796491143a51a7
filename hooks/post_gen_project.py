"""Keep what was chosen: run in the new project's folder, and again by each template update.

variants/<question>/<answer>/ holds files as they lie in the project. The chosen answers' files move
there, and variants/ goes. The answer "all" chooses each; one that has no folder brings no files.
"""

import json
import secrets
import shutil
from pathlib import Path

# tojson leaves no apostrophe in its output, so nothing that was typed can end this literal.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
VARIANTS = Path("variants")


def keep_chosen_variants():
    """Move the files of the chosen answers into place, and remove all others.

    What runs on a platform's own Python goes for a server that only an image can bring: a target's
    folder python/, or all of a target that runs no images.
    """
    if ANSWERS["_servers"][ANSWERS["wsgi_server"]]["without_image"]:
        for folder in VARIANTS.glob("deploy_to/*/deploy/*/python"):
            shutil.rmtree(folder)
        for name, target in ANSWERS["_targets"].items():
            if not target["runs_images"]:
                shutil.rmtree(VARIANTS / "deploy_to" / name)
    for question in VARIANTS.iterdir():
        for answer in question.iterdir():
            if ANSWERS[question.name] in (answer.name, "all"):
                move_into_place(answer)
    shutil.rmtree(VARIANTS)


def move_into_place(folder):
    """Move every file below ``folder`` to the same place in the project."""
    for file in folder.rglob("*"):
        if file.is_file():
            place = file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)


def make_secret_key():
    """Write a random signing key, unless there is one: a new one would log every user out.

    The folder is closed to other users of the machine. The file is not, because the container's
    user, who is nobody here, must read it; Docker mounts it without passing through the folder.
    """
    folder = Path("secrets")
    folder.mkdir(mode=0o700, exist_ok=True)
    key = folder / "secret_key"
    if not key.exists():
        # As bytes: on Windows, text would end in a carriage return too.
        key.write_bytes(secrets.token_urlsafe(32).encode("ascii") + b"\n")
        key.chmod(0o644)


if VARIANTS.is_dir():
    keep_chosen_variants()
make_secret_key()
