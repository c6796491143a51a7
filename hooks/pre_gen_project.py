"""Refuse answers that could not become a working project, before anything is written.

Cookiecutter renders this file first: the answers arrive in ANSWERS.
"""

import json
import keyword
import re
import sys

# tojson leaves no apostrophe in its output, so nothing that was typed can end this literal.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')

# Docker's image names and the hosts' service names allow this much; the longest suffix fits in.
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
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
        if not value.isprintable():
            return f"{name} holds a line break or another control character: use one line of text."
        if TEMPLATE_MARK.search(value):
            return f"{name} holds a brace beside another brace, % or #: templates mean that, so leave it out."

    slug, package = answers["project_slug"], answers["package_name"]
    if not SLUG.fullmatch(slug):
        return (
            f"project_slug {slug!r} cannot name a folder and an image: use lower-case letters and "
            "digits, with single hyphens between, and a letter first, such as 'my-service'."
        )
    if not (package.isascii() and package.isidentifier() and package == package.lower()):
        return (
            f"package_name {package!r} cannot be imported: use lower-case letters, digits and "
            "underscores, and no digit first, such as 'my_service'."
        )
    if keyword.iskeyword(package):
        return f"package_name {package!r} is a word of the Python language: choose another."
    if package in sys.stdlib_module_names:
        return f"package_name {package!r} would hide Python's own module: choose another."
    if package in answers["_reserved_package_names"]:
        return f"package_name {package!r} would hide a package or folder it needs: choose another."
    if not EMAIL.fullmatch(answers["author_email"]):
        return f"author_email {answers['author_email']!r} is no address: write it as 'you@example.com'."
    return None


found = problem(ANSWERS)
if found:
    sys.exit(f"Refused: {found}")
