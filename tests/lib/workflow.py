"""A local runner for GitHub workflows: real commands, stand-ins for actions.

It supports only the syntax that the generated workflows use, and rejects everything else.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .stack import run

Values = dict[str, Any]
# Replaces an action: takes the values of "with", returns the step's outputs.
StandIn = Callable[[Values], Values]

EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
LACKS = re.compile(r"!contains\(([\w.]+), '([^']*)'\)")
STARTS_WITH = re.compile(r"startsWith\(([\w.]+), '([^']*)'\)")


class NotUnderstood(Exception):
    """The workflow uses syntax that this module does not support."""


def jobs(workflow: Path) -> Values:
    """Return a workflow's jobs by name. Raises NotUnderstood for other workflow-level keys."""
    data = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    # YAML 1.1 parses the key "on" as true.
    only(data, "name", True, "concurrency", "permissions", "jobs")
    return data["jobs"]


def resolve(value: Any, known: Values) -> Any:
    """Evaluate the expressions in a text: names such as matrix.image, and !contains().

    Values of other types are returned unchanged. Raises NotUnderstood for an unknown name and for
    any other expression.
    """
    if not isinstance(value, str):
        return value
    return EXPRESSION.sub(lambda found: evaluate(found[1], known), value)


def evaluate(expression: str, known: Values) -> str:
    """Return the value of an expression."""
    if found := LACKS.fullmatch(expression):
        return "false" if found[2] in look_up(found[1], known) else "true"
    return look_up(expression, known)


def look_up(name: str, known: Values) -> str:
    """Return the value of a name."""
    if name not in known:
        raise NotUnderstood(f"{name} is not one of {', '.join(known)}")
    return known[name]


def resolve_all(values: Values, known: Values) -> Values:
    """Evaluate the expressions in all values."""
    return {name: resolve(value, known) for name, value in values.items()}


def holds(condition: str | None, known: Values, *, failed: bool = False) -> bool:
    """Return whether a job or step with this condition runs; ``failed``: an earlier step failed."""
    if condition == "failure()":
        return failed
    if condition is None:
        return not failed
    if found := STARTS_WITH.fullmatch(condition):
        return look_up(found[1], known).startswith(found[2]) and not failed
    raise NotUnderstood(f"if: {condition}")


def only(entry: Values, *names: str | bool) -> None:
    """Raise NotUnderstood if there are other keys: they may change the behavior."""
    if more := set(entry) - set(names):
        raise NotUnderstood(f"{', '.join(map(str, more))} in {entry.get('name', entry)}")


def choices(job: Values) -> Iterator[Values]:
    """Yield each combination of a job's matrix, or one empty combination."""
    only(job.get("strategy", {}), "matrix")
    matrix = job.get("strategy", {}).get("matrix", {})
    if not all(isinstance(values, list) for values in matrix.values()):
        raise NotUnderstood(f"matrix: {matrix}")
    for combination in itertools.product(*matrix.values()):
        yield {f"matrix.{name}": value for name, value in zip(matrix, combination, strict=True)}


@dataclass
class Runner:
    """The machine of a job: ``folder`` is its checkout."""

    folder: Path
    # By the name of the action, without its version.
    stand_ins: Mapping[str, StandIn]
    # The values that GitHub provides: github.ref, ...
    github: Values
    # Overrides the job's environment variables.
    environment: Values = field(default_factory=dict)
    # A command that runs the job's commands, for example in a container.
    within: Sequence[str] = ()

    def run_job(self, job: Values) -> str:
        """Run a job's steps in order, for each combination of its matrix; return their output.

        Raises AssertionError when a step fails, after the steps with ``if: failure()``.
        """
        only(
            job,
            *("name", "if", "needs", "runs-on", "timeout-minutes", "permissions", "strategy"),
            *("env", "steps"),
        )
        if not holds(job.get("if"), self.github):
            raise NotUnderstood(f"{job['name']!r} does not run with {self.github}")
        return "".join(self._run_steps(job, choice) for choice in choices(job))

    def _run_steps(self, job: Values, choice: Values) -> str:
        known = {**self.github, **choice}
        environment = {
            name: self.environment.get(name, resolve(value, known))
            for name, value in job.get("env", {}).items()
        }
        known |= {f"env.{name}": value for name, value in environment.items()}
        printed = ""
        failure: AssertionError | None = None
        for step in job["steps"]:
            only(step, "id", "name", "if", "run", "uses", "with", "env")
            if not holds(step.get("if"), known, failed=failure is not None):
                continue
            try:
                if "run" in step:
                    own = environment | resolve_all(step.get("env", {}), known)
                    output = Path(f"{self.folder}.output")
                    output.unlink(missing_ok=True)
                    own["GITHUB_OUTPUT"] = str(output)
                    printed += self._run(resolve(step["run"], known), own)
                    lines = output.read_text(encoding="utf-8") if output.exists() else ""
                    outputs = dict(line.split("=", 1) for line in lines.splitlines())
                else:
                    action, _, _ = step["uses"].partition("@")
                    outputs = self.stand_ins[action](resolve_all(step.get("with", {}), known))
                for name, value in outputs.items():
                    known[f"steps.{step.get('id')}.outputs.{name}"] = value
            except AssertionError as error:
                failure = failure or error
        print(printed)  # pytest shows it when the job failed
        if failure:
            raise failure
        return printed

    def _run(self, script: str, environment: Values) -> str:
        variables = [f"{name}={value}" for name, value in environment.items()]
        # GitHub's default shell: in a pipe, only the last command's status counts.
        command = [*self.within, "env", *variables, "bash", "-e", "-c", script]
        return run(command, cwd=self.folder)
