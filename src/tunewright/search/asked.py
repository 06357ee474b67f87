"""From the arguments of `Search` to the spec of its history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.core.errors import Invalid, Problem
from tunewright.core.parameters import plain
from tunewright.core.space import Space, with_rules
from tunewright.core.spec import Definition, Direction, Hyperband, JobSpec, Objective, Strategy, Training, WarmStart
from tunewright.search.arguments import (
    choice_problems,
    option_problems,
    parameters_of,
    resource_problems,
    rule_kinds,
    whole_of,
)
from tunewright.search.initial import points_in, read_points


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments as they were given, of whatever kinds."""

    space: Any
    strategy: Any
    objective_type: Any
    seed: Any
    warm_start_type: Any
    min_resource: Any
    max_resource: Any
    early_stopping: Any
    initial_points: Any
    conditions: Any
    steps: Any
    forbidden: Any
    replicates: Any
    options: Any


def parents_in(given: Any) -> list[Any]:
    """The parents one by one. Raises Invalid: they are no list."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        text = f"{given!r} is not a list of earlier searches or of their results; put it into one: parents=[...]."
        raise Invalid.one("parents", text)
    return list(given)


def spec_of(asked: Asked, parents: int, turned: Sequence[Problem]) -> JobSpec:
    """The spec.

    Args:
        parents: how many there are.
        turned: what is wrong with them.

    Raises:
        Invalid: all that is wrong with the arguments.
    """
    space = _checked(asked, turned)
    options = dict(asked.options or {})
    initial = read_points(space, asked.initial_points) or points_in(options, space)
    replicates, seed = whole_of("replicates", asked.replicates)[0], whole_of("seed", asked.seed, 0)[0]
    if replicates != 1:
        options["replicates"] = json.dumps(replicates)
    known = asked.strategy in set(Strategy)
    if not known:
        options["strategy"] = json.dumps(asked.strategy)
    definition = Definition(space, Objective("objective", Direction(asked.objective_type)), Training(), initial=initial)
    names = tuple(f"parent-{place}" for place in range(1, parents + 1))
    return JobSpec(
        name="search",
        definitions=(definition,),
        strategy=Strategy(asked.strategy) if known else Strategy.BAYESIAN,
        early_stopping=bool(plain(asked.early_stopping)),
        hyperband=_hyperband(asked) if asked.strategy == Strategy.HYPERBAND else None,
        warm_start=WarmStart(asked.warm_start_type, names) if names else None,
        seed=seed,
        options=options,
    )


def _hyperband(asked: Asked) -> Hyperband:
    least, _ = whole_of("min_resource", asked.min_resource)
    most, _ = whole_of("max_resource", asked.max_resource)
    return Hyperband(least, most)


def _checked(asked: Asked, turned: Sequence[Problem]) -> Space:
    """The space. Raises Invalid with all that is wrong with the arguments."""
    parameters = parameters_of(asked.space)
    rule_kinds(asked.steps, asked.conditions, asked.forbidden)
    space, problems = with_rules(parameters, asked.steps, asked.conditions, asked.forbidden)
    problems += whole_of("replicates", asked.replicates)[1]
    problems += turned
    problems += space.problems(strict=False)
    if not parameters:
        problems.append(Problem("space", "is empty; give at least one parameter."))
    problems += choice_problems(asked.strategy, asked.objective_type, asked.warm_start_type)
    problems += whole_of("seed", asked.seed, 0)[1]
    problems += resource_problems(asked.strategy, asked.min_resource, asked.max_resource, asked.early_stopping)
    problems += option_problems(asked.options, asked.strategy)
    if problems:
        raise Invalid(problems)
    return space
