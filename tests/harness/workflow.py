"""A local runner for GitHub workflows: real commands, stand-ins for actions.

It understands what the workflows of this repository's projects say, and refuses the rest.
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
# Does the work of an action: takes what stands under "with", returns the step's outputs.
StandIn = Callable[[Values], Values]

EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
LACKS = re.compile(r"!contains\(([\w.]+), '([^']*)'\)")
STARTS_WITH = re.compile(r"startsWith\(([\w.]+), '([^']*)'\)")


class NotUnderstood(Exception):
    """The workflow says what this module does not know, and GitHub may."""


def jobs(workflow: Path) -> Values:
    """Return a workflow's jobs, by name. Raises NotUnderstood when it sets something for all."""
    data = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    # YAML 1.1 takes the key "on" for true.
    only(data, "name", True, "concurrency", "permissions", "jobs")
    return data["jobs"]


def resolve(value: Any, known: Values) -> Any:
    """Fill in a text's expressions: names, such as matrix.image, and what they do not contain.

    Other values stay. Raises NotUnderstood for a name that is not known, and for what else GitHub
    can compute.
    """
    if not isinstance(value, str):
        return value
    return EXPRESSION.sub(lambda found: evaluate(found[1], known), value)


def evaluate(expression: str, known: Values) -> str:
    """Return what stands for an expression."""
    if found := LACKS.fullmatch(expression):
        return "false" if found[2] in look_up(found[1], known) else "true"
    return look_up(expression, known)


def look_up(name: str, known: Values) -> str:
    """Return what a name stands for."""
    if name not in known:
        raise NotUnderstood(f"{name} is none of {', '.join(known)}")
    return known[name]


def resolve_all(values: Values, known: Values) -> Values:
    """Fill in the expressions of all values."""
    return {name: resolve(value, known) for name, value in values.items()}


def holds(condition: str | None, known: Values, *, failed: bool = False) -> bool:
    """Say whether what has this condition runs, when a step before it failed or none did."""
    if condition == "failure()":
        return failed
    if condition is None:
        return not failed
    if found := STARTS_WITH.fullmatch(condition):
        return look_up(found[1], known).startswith(found[2]) and not failed
    raise NotUnderstood(f"if: {condition}")


def only(entry: Values, *names: str | bool) -> None:
    """Raise NotUnderstood where there are other keys, which may change what is done."""
    if more := set(entry) - set(names):
        raise NotUnderstood(f"{', '.join(map(str, more))} in {entry.get('name', entry)}")


def choices(job: Values) -> Iterator[Values]:
    """Yield each combination of a job's matrix, or one of nothing."""
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
    # By the names of actions, without their versions.
    stand_ins: Mapping[str, StandIn]
    # What GitHub tells: github.ref, ...
    github: Values
    # In place of what the job's own environment says.
    environment: Values = field(default_factory=dict)
    # What commands are run by, if not by this machine.
    within: Sequence[str] = ()

    def run_job(self, job: Values) -> str:
        """Run a job's steps in order, for each choice of its matrix; return what commands printed.

        Raises AssertionError when a step fails, after those that are there for that case.
        """
        only(
            job,
            *("name", "if", "needs", "runs-on", "timeout-minutes", "permissions", "strategy"),
            *("env", "steps"),
        )
        if not holds(job.get("if"), self.github):
            raise NotUnderstood(f"{job['name']!r} does not run where {self.github}")
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
        print(printed)  # which pytest shows when the job failed
        if failure:
            raise failure
        return printed

    def _run(self, script: str, environment: Values) -> str:
        variables = [f"{name}={value}" for name, value in environment.items()]
        # As GitHub does where no shell is named: in a pipe, the last command's failure counts.
        command = [*self.within, "env", *variables, "bash", "-e", "-c", script]
        return run(command, cwd=self.folder)
