"""Points that the user wants tried first: which one is next, and what the strategy adds to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from tunewright.core.counting import Finder, Uncounted
from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import Point, Space, Value
from tunewright.search.encode import Cube
from tunewright.search.table import Table

_SALT = 6_000_011
_TRIES = 256


def read_points(space: Space, listed: object) -> tuple[Point, ...]:
    """Points to try first with native values.

    Raises:
        Invalid: all that is wrong with them: not a list of objects, unknown names, values outside the ranges or
            between the steps, values of inactive parameters, forbidden combinations.
    """
    if not isinstance(listed, Sequence) or not all(isinstance(entry, Mapping) for entry in listed):
        text = f"{listed!r} is not a list of objects from parameter names to values; give [{{'x': 0.5}}]."
        raise Invalid.one("initial_points", text)
    points: list[Point] = []
    problems: list[Problem] = []
    finder = space.finder()
    for place, entry in enumerate(listed):
        point, wrong = space.read_point(entry, finder)
        points.append(point)
        where = f"initial_points[{place}]"
        problems += [Problem(f"{where}.{p.path}" if p.path else where, p.message) for p in wrong]
    if problems:
        raise Invalid(problems)
    return tuple(points)


def points_in(options: Mapping[str, str], space: Space) -> tuple[Point, ...]:
    """The points of `options["initial_points"]`, a JSON text. Raises Invalid as `read_points`."""
    text = options.get("initial_points")
    return read_points(space, json.loads(text)) if text is not None else ()


def next_point(table: Table, wanted: Sequence[Point], number: int, base: Point | None) -> Point | None:
    """The next wanted point that no trial has, completed; None when all have been tried.

    Args:
        base: the strategy's own proposal for this trial, from which missing values are taken.
    """
    while table.begun < len(wanted):
        point = wanted[table.begun]
        if not _tried(table, point):
            return _complete(table.cube, point, base, [table.spec.seed, number, _SALT])
        table.begun += 1
    return None


def _tried(table: Table, wanted: Point) -> bool:
    """Whether some trial's point agrees with everything that is wanted."""
    return any(
        all(name in record.point and record.point[name] == value for name, value in wanted.items())
        for record in table.records
    )


def _complete(cube: Cube, wanted: Point, base: Point | None, seed: list[int]) -> Point:
    """An allowed point with the wanted values."""
    rng = np.random.default_rng(seed)
    start: dict[str, Value] = {**cube.decode(cube.rest), **(base or {}), **wanted}
    for attempt in range(_TRIES):
        drawn = start if attempt == 0 else {**_anything(cube, rng), **wanted}
        active = cube.activity.rules.active(drawn)
        point = {name: drawn[name] for name in cube.names if name in active}
        if set(wanted) <= active and cube.activity.rules.allows(point):
            return point
    try:
        found = Finder(cube.space.parameters, cube.activity.rules).find(wanted)
    except Uncounted:
        found = None
    if found is None:
        raise Invalid.one("initial_points", f"{dict(wanted)!r} cannot be completed to an allowed configuration.")
    return found


def _anything(cube: Cube, rng: np.random.Generator) -> dict[str, Value]:
    """Random values for all parameters, active or not."""
    return {
        name: axis.value(float(axis.draw(rng.random(1))[0])) for name, axis in zip(cube.names, cube.axes, strict=True)
    }
