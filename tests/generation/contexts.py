"""Cookiecutter's context for rendering, without generating a project."""

from typing import Any

from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config

from tests.lib.template import ROOT


def rendered_answers(**answers: str) -> dict[str, Any]:
    """Return the context of cookiecutter.json, rendered with these ``answers``."""
    context = generate_context(str(ROOT / "cookiecutter.json"), extra_context=answers)
    return prompt_for_config(context, no_input=True)


def environment(answers: dict[str, Any]) -> StrictEnvironment:
    """Return the Jinja environment that Cookiecutter renders files in."""
    return StrictEnvironment(context={"cookiecutter": answers}, keep_trailing_newline=True)
