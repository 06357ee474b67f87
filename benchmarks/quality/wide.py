"""Problems of 9 to 30 parameters of all kinds, of which a few matter much and the others little.

A bowl over the numbers whose centre and place depend on the value of the weightiest categorical parameter; the other
categorical parameters add what their values cost. The two weightiest numbers are turned against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from benchmarks.quality.fresh import Floats, Fresh, Values
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter

_NUMBERS: list[tuple[Parameter, Callable[[float], float]]] = [
    (ContinuousParameter(-1.0, 1.0, "Linear"), lambda value: (value + 1) / 2),
    (ContinuousParameter(1e-5, 1.0, "Logarithmic"), lambda value: 1 + math.log10(value) / 5),
    (IntegerParameter(1, 1000, "Logarithmic"), lambda value: math.log10(value) / 3),
    (IntegerParameter(0, 20, "Linear"), lambda value: value / 20),
]
"""Parameters, and how a value of theirs is brought to [0, 1]."""


def wide(instance: int) -> Fresh:
    """An instance; it reaches 0 where the ranges' steps allow it."""
    rng = np.random.default_rng([9, instance])
    kinds = rng.integers(0, len(_NUMBERS), int(rng.integers(6, 19)))
    levels = rng.integers(2, 7, int(rng.integers(3, 13)))
    space = {f"x{j}": _NUMBERS[kind][0] for j, kind in enumerate(kinds)}
    space |= {f"k{j}": CategoricalParameter([f"v{level}" for level in range(count)]) for j, count in enumerate(levels)}
    centre = np.array(
        [_reachable(int(kind), place) for kind, place in zip(kinds, rng.uniform(0.1, 0.9, len(kinds)), strict=True)]
    )
    weights = np.exp(-rng.exponential(1.5, len(kinds)))
    weights /= weights.max()
    costs = [_costs(rng, int(count)) for count in levels]
    main = int(np.argmax([cost.max() for cost in costs]))
    moves = rng.uniform(-0.3, 0.3, (levels[main], len(kinds)))
    moves[costs[main].argmin()] = 0.0
    turn, power = float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.6, 1.2))
    first, second = np.argsort(-weights)[:2]

    def true(values: Values) -> float:
        x = np.array([_NUMBERS[kind][1](float(values[f"x{j}"])) for j, kind in enumerate(kinds)])
        chosen = [int(str(values[f"k{j}"])[1:]) for j in range(len(levels))]
        away = x - centre - moves[chosen[main]]
        away[first] += turn * away[second]
        cost = sum(float(one[level]) for one, level in zip(costs, chosen, strict=True))
        return float((3.0 * (weights * away**2).sum() + 0.5 * cost) ** power)

    return Fresh(f"wide-{instance}", space, true)


def _reachable(kind: int, place: float) -> float:
    """The place in [0, 1] nearest to this one that a value has."""
    parameter, placed = _NUMBERS[kind]
    if not isinstance(parameter, IntegerParameter):
        return place
    places = [placed(value) for value in range(int(parameter.min_value), int(parameter.max_value) + 1)]
    return min(places, key=lambda other: abs(other - place))


def _costs(rng: np.random.Generator, count: int) -> Floats:
    """What each value of a categorical parameter costs, the best one nothing."""
    costs = rng.uniform(0.2, 1.0, count) * math.exp(-rng.exponential(1.5))
    costs[rng.integers(count)] = 0.0
    return np.asarray(costs)
