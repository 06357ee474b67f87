"""Rules of our own extension: its features must speak of parameters that exist and of values they can take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tunewright.aws.extension import NOT_YET, unpack
from tunewright.aws.parts import Part, space_of, space_problems, unknown_names
from tunewright.aws.protocol import Wire, shorten
from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import CategoricalParameter, Parameter, encode_value


def extended_problems(part: Part) -> Iterator[Problem]:
    """All that is wrong with the extended features of a definition."""
    try:
        options = unpack(part.static).options
    except Invalid:
        return
    names = space_of(part.ranges).parameters if not space_problems(part, strict=False) else {}
    path = f"{part.path}.staticHyperParameters._tunewright"
    for number, point in enumerate(json.loads(options.get("initial_points", "[]")), start=1):
        where = f"{path}.initial_points.{number}"
        if not isinstance(point, dict):
            yield Problem(where, f"must be an object of parameter name to value, got {point!r}.")
        else:
            yield from unknown_names(where, point, names)
            yield from _outside(where, point, names)
    for name in NOT_YET:
        if name in options:
            yield Problem(f"{path}.{name}", "is not available in this version, which would ignore it; leave it out.")
    for name in ("conditions", "steps"):
        yield from unknown_names(f"{path}.{name}", json.loads(options.get(name, "{}")), names)
    for name, step in json.loads(options.get("steps", "{}")).items():
        good = isinstance(step, int | float) and not isinstance(step, bool) and step > 0
        if not good or isinstance(names.get(name), CategoricalParameter):
            yield Problem(f"{path}.steps.{name}", f"needs a number above 0 for a numeric range, got {step!r}.")


def _outside(path: str, point: Wire, parameters: Mapping[str, Parameter]) -> Iterator[Problem]:
    """Values of a given point that their parameters can't take."""
    for name, value in point.items():
        parameter = parameters.get(name)
        if parameter is None:
            continue
        try:
            text = value if isinstance(value, str) else encode_value(value)
            inside = parameter.contains(parameter.cast(text))
        except (ValueError, TypeError, OverflowError):
            inside = False
        if not inside:
            yield Problem(f"{path}: {name}", f"{shorten(repr(value), 40)} is not in its range; give a value inside.")


def differing_options(parts: Sequence[Part]) -> Iterator[Problem]:
    """The job's own options may stand in any definition, but not differ."""
    seen: dict[str, str] = {}
    for part in parts:
        try:
            options = unpack(part.static).options
        except Invalid:
            return
        for name, text in options.items():
            if seen.setdefault(name, text) != text:
                path = f"{part.path}.staticHyperParameters._tunewright.{name}"
                yield Problem(path, "differs between definitions; it is an option of the whole job.")
