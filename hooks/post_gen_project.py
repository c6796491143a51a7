"""Complete the new project, in its folder. Updates of the template run this again.

variants/<question>/<answer>/ contains files with their places in the project. Those of the chosen
answers are moved there, and variants/ is removed. The answer "all" chooses every folder; an answer
without a folder adds no files.
"""

import json
import re
import secrets
import shutil
from pathlib import Path

# The filter tojson escapes apostrophes, so no answer can end this string.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
VARIANTS = Path("variants")
# A repository on GitHub, as Cookiecutter and cruft write it.
REPOSITORY = re.compile(
    r"(?:gh:|(?:https://|ssh://git@|git@)github\.com[/:])([\w.-]+/[\w.-]+?)(?:\.git)?/?"
)


def choose_variants():
    """Move the files of the chosen answers into place, and remove those of the other answers.

    A server that needs an image gets no files for platforms without images: neither a platform's
    folder python/, nor any file of a platform that runs no images. Without a database, no platform
    has a folder database/.
    """
    if ANSWERS["database"] == "none":
        for folder in VARIANTS.glob("deploy_to/*/deploy/*/database"):
            shutil.rmtree(folder)
    if ANSWERS["_servers"][ANSWERS["wsgi_server"]]["without_image"]:
        for folder in VARIANTS.glob("deploy_to/*/deploy/*/python"):
            shutil.rmtree(folder)
        for name, platform in ANSWERS["_platforms"].items():
            if not platform["runs_images"]:
                shutil.rmtree(VARIANTS / "deploy_to" / name)
    chosen, others = [], []
    for question in VARIANTS.iterdir():
        for answer in question.iterdir():
            is_chosen = ANSWERS[question.name] in (answer.name, "all")
            (chosen if is_chosen else others).append(answer)
    for folder in others:
        remove_earlier(folder)
    for folder in chosen:
        for file, place in files_of(folder):
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    shutil.rmtree(VARIANTS)


def files_of(folder):
    """Return the files below a variant's folder, each with its place in the project."""
    return [(file, file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]


def remove_earlier(folder):
    """Remove files of an earlier generation with another answer, if they are still the same."""
    for file, place in files_of(folder):
        if place.is_file() and place.read_bytes() == file.read_bytes():
            place.unlink()
            for parent in place.parents[:-1]:
                if not any(parent.iterdir()):
                    parent.rmdir()


def name_template():
    """Name the template's repository in the workflow that runs its tests.

    Without one on GitHub, such as for a local copy of the template, there is no such workflow.
    """
    workflow = Path(".github/workflows/conformance.yml")
    if not workflow.exists():
        return
    found = REPOSITORY.fullmatch(str(ANSWERS.get("_template", "")))
    if found:
        own = found[1].encode("ascii") + b"/"
        workflow.write_bytes(workflow.read_bytes().replace(b"OWNER/REPO/", own))
    else:
        workflow.unlink()


def create_secret(name):
    """Write a random secret, unless there is one: another signing key would end all sessions.

    Other users of the machine cannot enter the folder. The file itself is readable, because the
    container's user must read it; Docker mounts the file without passing through the folder.
    """
    folder = Path("secrets")
    folder.mkdir(mode=0o700, exist_ok=True)
    secret = folder / name
    if not secret.exists():
        # As bytes: on Windows, text would get a carriage return.
        secret.write_bytes(secrets.token_urlsafe(32).encode("ascii") + b"\n")
        secret.chmod(0o644)


def print_next_steps():
    """Print where the project is and how to start it, but not when cruft compares versions."""
    project = Path.cwd()
    if project.parent.name not in ("current_template", "new_template"):
        print(f"Created {project}.")
        print(
            f"Next: cd {project.name} && docker compose up --build --wait, then see its README.md."
        )


if VARIANTS.is_dir():
    choose_variants()
    name_template()
create_secret("secret_key")
if ANSWERS["database"] != "none":
    create_secret("database_password")
print_next_steps()
