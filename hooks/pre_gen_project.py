"""Refuse answers that could not become a working project, before anything is written.

Cookiecutter renders this file first: the answers arrive in ANSWERS.
"""

import json
import keyword
import re
import sys
import unicodedata

# tojson leaves no apostrophe in its output, so nothing that was typed can end this literal.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

# Docker's image names and the hosts' service names allow this much; the longest suffix fits in.
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9_]*")
# Windows takes these for devices, so that nobody could clone a project with such a folder there.
DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
EMAIL = re.compile(r"[A-Za-z0-9.!#%&*+/=?^_|~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Written so that Cookiecutter, which renders this file, sees no mark in it.
TEMPLATE_MARK = re.compile(r"[{][#%{]|[#%}][}]")
LONGEST = {
    "project_name": 80,
    "project_slug": 40,
    "package_name": 40,
    "description": 200,
    "author_name": 80,
    "author_email": 120,
}


def is_control(character):
    """Say whether ``character`` breaks a line or is invisible; two joiners are part of words."""
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d"


def problem(answers):
    """Return one line that says what is wrong with ``answers`` and what would be right, or None."""
    for name, limit in LONGEST.items():
        value = answers[name]
        if not value.strip():
            return f"{name} is empty: give it a value."
        if len(value) > limit:
            return f"{name} has {len(value)} characters: use at most {limit}."
        if value != value.strip():
            return f"{name} begins or ends with a space: remove it."
        if any(map(is_control, value)):
            return f"{name} holds a line break or another control character: use one line of text."
        if TEMPLATE_MARK.search(value):
            return f"{name} holds a template's mark, a brace beside a brace, % or #: leave it out."

    slug, package = answers["project_slug"], answers["package_name"]
    if not SLUG.fullmatch(slug):
        return (
            f"project_slug {slug!r} cannot name a folder and an image: use lower-case letters and "
            "digits, with single hyphens between, and a letter first, such as 'my-service'."
        )
    if not PACKAGE.fullmatch(package):
        return (
            f"package_name {package!r} cannot name a package: use lower-case letters, digits and "
            "underscores, and a letter first, such as 'my_service'."
        )
    for name in ("project_slug", "package_name"):
        if DEVICE.fullmatch(answers[name]):
            return f"{name} {answers[name]!r} is a device on Windows: choose another."
    if keyword.iskeyword(package):
        return f"package_name {package!r} is a word of the Python language: choose another."
    if package in sys.stdlib_module_names:
        return f"package_name {package!r} would hide Python's own module: choose another."
    reserved = set(answers["_reserved_package_names"]).union(
        *(server["reserved_package_names"] for server in answers["_servers"].values())
    )
    if package in reserved:
        return f"package_name {package!r} would hide a package or folder it needs: choose another."
    email = answers["author_email"]
    if not EMAIL.fullmatch(email):
        return f"author_email {email!r} is no address: write it as 'you@example.com'."

    target = answers["_targets"].get(answers["deploy_to"])
    server = answers["_servers"][answers["wsgi_server"]]
    nearest = server["without_image"]
    if target and nearest and not target["runs_images"]:
        return (
            f"{target['title']} runs no images, and {server['title']} needs one: choose another "
            f"deploy_to, or wsgi_server {nearest!r}, which is the nearest that needs none."
        )
    return None


found = problem(ANSWERS)
if found:
    sys.exit(f"Refused: {found}")
