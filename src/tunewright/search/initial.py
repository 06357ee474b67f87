"""Points that the user wants tried first (the extended option `initial_points`)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import CategoricalParameter, Space, Value
from tunewright.core.spec import JobSpec


def initial_points(spec: JobSpec) -> list[dict[str, Value]]:
    """The points of `options["initial_points"]` with native types; a partial one names some of the parameters.

    Raises:
        Invalid: not a list of objects, an unknown name, or a value outside its range.
    """
    text = spec.options.get("initial_points")
    if text is None:
        return []
    listed = json.loads(text)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise Invalid.one("initial_points", "is a list of objects from parameter names to values.")
    problems: list[Problem] = []
    space = spec.definitions[0].space
    points = [_native(space, entry, f"initial_points[{place}]", problems) for place, entry in enumerate(listed)]
    if problems:
        raise Invalid(problems)
    return points


def _native(space: Space, entry: Mapping[str, Value], path: str, problems: list[Problem]) -> dict[str, Value]:
    point: dict[str, Value] = {}
    for name, value in entry.items():
        parameter = space.parameters.get(name)
        if parameter is None:
            problems.append(Problem(f"{path}.{name}", f"is not a parameter; there are {', '.join(space.parameters)}."))
            continue
        try:
            native = value
            if not isinstance(parameter, CategoricalParameter) or not parameter.contains(value):
                native = parameter.cast(str(value) if not isinstance(value, bool) else json.dumps(value))
        except ValueError as error:
            problems.append(Problem(f"{path}.{name}", f"{error}."))
            continue
        if not parameter.contains(native):
            problems.append(Problem(f"{path}.{name}", f"{value!r} is outside the range; move it inside."))
        point[name] = native
    return point
