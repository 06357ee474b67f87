"""The extended features that speak of parameters: checked, and shared out among a tuner's estimators.

With several estimators each gets what speaks of its own parameters alone, since each has a space of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunewright.aws.sagemaker.extension import PART_KEYS
from tunewright.core.conditions import comparisons, parse
from tunewright.core.errors import Problem
from tunewright.core.space import CategoricalParameter, Space, with_rules


def rules_of_part(space: Space, extensions: Mapping[str, object], *, alone: bool) -> dict[str, object]:
    """The features of `PART_KEYS` that travel with a definition; the steps of its ranges are among them.

    Args:
        space: of the definition, with the steps that its ranges have themselves.
        alone: whether there is no other definition; then nothing is left out.
    """
    given: dict[str, Any] = {name: extensions[name] for name in PART_KEYS if name in extensions}
    if not alone:
        given = _own(space, given)
    own = {
        name: parameter.step
        for name, parameter in space.parameters.items()
        if not isinstance(parameter, CategoricalParameter) and parameter.step is not None
    }
    if own and isinstance(given.get("steps", {}), Mapping):
        given["steps"] = {**own, **given.get("steps", {})}
    return given if alone else {name: value for name, value in given.items() if value}


def orphans(spaces: Sequence[Space], extensions: Mapping[str, object]) -> list[Problem]:
    """Features that speak of no estimator's parameters, where there are several."""
    found: list[Problem] = []
    shared = [rules_of_part(space, extensions, alone=False) for space in spaces]
    for feature in PART_KEYS:
        value = extensions.get(feature)
        if not isinstance(value, Mapping | list):
            continue
        kept = [each for mine in shared for each in _entries(mine.get(feature, []))]
        for entry in _entries(value):
            if entry not in kept:
                text = f"{entry!r} fits the parameters of none of the estimators; each needs all of one's own names."
                found.append(Problem(feature, text))
    return found


def _entries(value: object) -> list[object]:
    return list(value) if isinstance(value, Mapping | list) else []


def merged(extensions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The features of a tuner from those of its definitions."""
    found: dict[str, Any] = {}
    for mine in extensions:
        for name, value in mine.items():
            if name in PART_KEYS and isinstance(value, dict):
                found[name] = {**found.get(name, {}), **value}
            elif name in PART_KEYS:
                known = found.setdefault(name, [])
                known += [each for each in value if each not in known]
            else:
                found[name] = value
    return found


def _own(space: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """What speaks of the parameters of a space alone; empty where nothing does."""
    names = set(space.parameters)
    own: dict[str, Any] = {}
    for feature, value in given.items():
        if isinstance(value, Mapping):
            own[feature] = {name: each for name, each in value.items() if name in names}
        elif feature == "initial_points":
            own[feature] = [point for point in value if isinstance(point, Mapping) and set(point) <= names]
        else:
            own[feature] = [text for text in value if _speaks_of(text, space)]
    return own


def _speaks_of(text: object, space: Space) -> bool:
    try:
        found = [one.names() for one in comparisons(parse(str(text), tuple(space.parameters)))]
    except ValueError:
        return True
    return all(names and set(names) <= set(space.parameters) for names in found)


def extended_problems(space: Space, extensions: Mapping[str, object], *, alone: bool) -> list[Problem]:
    """All that is wrong with a space and the features that speak of it."""
    given: dict[str, Any] = rules_of_part(space, extensions, alone=alone)
    kinds = list(_kinds(given))
    if kinds:
        return kinds
    ruled, found = with_rules(space.parameters, given.get("steps"), given.get("conditions"), given.get("forbidden", ()))
    found = found + ruled.problems(strict=False)
    if found:
        return found
    finder = ruled.finder()
    for place, point in enumerate(given.get("initial_points", ())):
        where = f"initial_points[{place}]"
        if not isinstance(point, Mapping):
            found.append(Problem(where, f"is a dictionary of parameter name to value, got {point!r}."))
            continue
        for problem in ruled.read_point(point, finder)[1]:
            found.append(Problem(f"{where}.{problem.path}" if problem.path else where, problem.message))
    return found


def _kinds(given: Mapping[str, object]) -> Iterator[Problem]:
    for name, value in given.items():
        if name in ("steps", "conditions") and not isinstance(value, Mapping):
            yield Problem(name, f"is a dictionary by parameter name, got {value!r}.")
        elif name in ("forbidden", "initial_points") and not isinstance(value, list | tuple):
            yield Problem(name, f"is a list, got {value!r}.")
