"""Check the answers before any file is written. Cookiecutter renders them into this file.

The syntax also suits older versions of Python, so that they reach the message about the version.
"""

import json
import keyword
import re
import sys
import unicodedata

# The filter tojson escapes apostrophes, so no answer can end this string.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

# Valid in names of images and in the service names of all platforms, also with the longest suffix.
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9_]*")
EMAIL = re.compile(r"[A-Za-z0-9.!#%&*+/=?^_|~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Written without a pair of braces, which Cookiecutter would render.
TEMPLATE_SYNTAX = re.compile(r"[{][#%{]|[#%}][}]")
# The maximum number of characters.
LONGEST = {
    "project_name": 80,
    "project_slug": 40,
    "package_name": 40,
    "description": 200,
    "author_name": 80,
    "author_email": 120,
}


def is_control(character):
    """Return whether a character breaks lines or is invisible, except joiners within words."""
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d"


def problem(answers):
    """Return one line with the problem of the answers and its solution, or None."""
    for name, limit in LONGEST.items():
        value = answers[name]
        if not value.strip():
            return f"{name} is empty: enter a value."
        if len(value) > limit:
            return f"{name} has {len(value)} characters: use at most {limit}."
        if value != value.strip():
            return f"{name} begins or ends with a space: remove it."
        if any(map(is_control, value)):
            return f"{name} contains a line break or another control character: use one line."
        if TEMPLATE_SYNTAX.search(value):
            return f"{name} contains template syntax (a brace beside a brace, % or #): remove it."

    slug, package = answers["project_slug"], answers["package_name"]
    if not SLUG.fullmatch(slug):
        return (
            f"project_slug {slug!r} is not valid for a folder and an image: use lowercase letters, "
            "digits and single hyphens, and begin with a letter, such as 'my-service'."
        )
    if not PACKAGE.fullmatch(package):
        return (
            f"package_name {package!r} is not valid for a package: use lowercase letters, digits "
            "and underscores, and begin with a letter, such as 'my_service'."
        )
    for name in ("project_slug", "package_name"):
        if answers[name] in answers["_windows_devices"]:
            return f"{name} {answers[name]!r} is a device on Windows: choose another name."
    if keyword.iskeyword(package):
        return f"package_name {package!r} is a keyword of Python: choose another name."
    if package in sys.stdlib_module_names:
        return f"package_name {package!r} would hide Python's own module: choose another name."
    reserved = set(answers["_reserved_package_names"]).union(
        *(server["reserved_package_names"] for server in answers["_servers"].values())
    )
    if package in reserved:
        return (
            f"package_name {package!r} would hide a package or folder that the project needs: "
            "choose another name."
        )
    email = answers["author_email"]
    if not EMAIL.fullmatch(email):
        return f"author_email {email!r} is not valid: write it like 'you@example.com'."

    platform = answers["_platforms"].get(answers["deploy_to"])
    server = answers["_servers"][answers["wsgi_server"]]
    alternative = server["without_image"]
    if platform and alternative and not platform["runs_images"]:
        return (
            f"{platform['title']} runs no images, but {server['title']} needs one: choose another "
            f"deploy_to, or wsgi_server {alternative!r}, which is the most similar one."
        )
    return None


if sys.version_info < (3, 10):  # noqa: UP036 (Cookiecutter's Python can be older)
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        f"Error: Cookiecutter runs on Python {version}, which is too old: install it with Python "
        "3.10 or newer, or run it by uvx or pipx."
    )
error = problem(ANSWERS)
if error:
    sys.exit(f"Error: {error}")
