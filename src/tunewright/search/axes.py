"""One parameter as a unit coordinate, and back.

A numeric parameter lies between 0 and 1, linear in its scaled value; a categorical one is the index of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from tunewright.core.lattice import Lattice
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Scaling,
    Value,
)
from tunewright.search.arrays import Floats, Ints
from tunewright.search.stepped import Steps

MAX_LATTICE = 4096
"""Lattices with more values than this are continuous to the model, and rounded when decoded."""


FAR = 100.0
"""Numbers further than so many widths from their range are taken to lie there: nothing inside depends on them, and
distances keep their digits."""

_FLAT = 1e-6
"""A logarithm over a range that is narrower than this, scaled, is a straight line, and its digits would be lost."""


def _identity(value: float) -> float:
    return value


def _reverse_log(value: float) -> float:
    return -math.log1p(-value) if value < 1 else math.nan


def _reverse_exp(value: float) -> float:
    return -math.expm1(-value)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


_FORWARD = {Scaling.LINEAR: _identity, Scaling.LOGARITHMIC: _log, Scaling.REVERSE_LOGARITHMIC: _reverse_log}
_BACKWARD = {Scaling.LINEAR: _identity, Scaling.LOGARITHMIC: math.exp, Scaling.REVERSE_LOGARITHMIC: _reverse_exp}


def _all(change: Callable[[float], float], numbers: Floats) -> Floats:
    """Each number changed. One by one, since numpy's logarithms may differ from `math`'s in the last digit."""
    return numbers if change is _identity else np.array([change(number) for number in numbers.tolist()])


@dataclass(frozen=True, slots=True)
class NumericAxis:
    """A numeric parameter on [0, 1]: linear in its scaled value, ends of the range at 0 and 1.

    Args:
        lattice: the legal values; None for a continuous axis.
        steps: the same, for arrays.
        grid: the unit coordinates of all legal values in order, shape (size,); None when they are too many.
        edges: where a uniform draw changes from one value of the grid to the next, shape (size - 1,).
    """

    parameter: ContinuousParameter | IntegerParameter
    scaling: Scaling
    low: float
    high: float
    lattice: Lattice | None
    steps: Steps | None
    grid: Floats | None
    edges: Floats | None

    @classmethod
    def of(cls, parameter: ContinuousParameter | IntegerParameter) -> NumericAxis:
        scaling, lattice = parameter.scaling(), parameter.lattice()
        last = parameter.max_value if lattice is None else lattice.last
        if _FORWARD[scaling](last) - _FORWARD[scaling](parameter.min_value) < _FLAT:
            scaling = Scaling.LINEAR
        low, high = _FORWARD[scaling](parameter.min_value), _FORWARD[scaling](last)
        steps = None if lattice is None else Steps(lattice)
        axis = cls(parameter, scaling, low, high, lattice, steps, None, None)
        if low == high:
            return replace(axis, grid=np.array([0.5]), edges=np.empty(0))
        if lattice is None or steps is None or lattice.size > MAX_LATTICE:
            return axis
        grid = axis.units(steps.values(np.arange(lattice.size)))
        return replace(axis, grid=grid, edges=_edges(lattice, scaling))

    def unit(self, value: Value) -> float:
        """The unit coordinate, outside the range as far as `FAR`; NaN where the scaling is not defined."""
        if isinstance(value, str | bool):
            return math.nan
        scaled = _FORWARD[self.scaling](float(value))
        if self.low == self.high:
            unit = 0.5 + (scaled - self.low) / max(1.0, abs(self.low))
        else:  # halves keep a range such as [-1e308, 1e308] from overflowing
            unit = (0.5 * scaled - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)
        return min(max(unit, -FAR), 1.0 + FAR)

    def units(self, numbers: Floats) -> Floats:
        """`unit` of each of many numbers, where the range is more than one value."""
        scaled = _all(_FORWARD[self.scaling], numbers)
        return np.asarray((0.5 * scaled - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low), dtype=np.float64)

    def value(self, unit: float) -> Value:
        """The native value nearest to a unit coordinate, within the bounds."""
        lo, hi = self.parameter.min_value, self.parameter.max_value
        if self.lattice is not None and (unit <= 0 or self.low == self.high):
            return self.lattice.value(0)
        if self.lattice is not None and unit >= 1:
            return self.lattice.last
        if unit <= 0 or unit >= 1:
            return float(lo if unit <= 0 else hi)
        number = _BACKWARD[self.scaling](self.low * (1 - unit) + self.high * unit)
        if self.lattice is None:
            return float(min(max(number, lo), hi))
        return self.lattice.value(self.lattice.nearest(number))

    def numbers(self, units: Floats) -> Floats:
        """`value` of each of many unit coordinates, as floats."""
        inside = np.clip(units, 0.0, 1.0)
        numbers = _all(_BACKWARD[self.scaling], float(self.low) * (1 - inside) + float(self.high) * inside)
        lo, hi = float(self.parameter.min_value), float(self.parameter.max_value)
        if self.lattice is not None and self.steps is not None:
            if self.low == self.high:
                return np.full(len(units), float(self.lattice.value(0)))
            numbers = self.steps.values(self.steps.nearest(numbers))
            lo, hi = float(self.lattice.value(0)), float(self.lattice.last)
        return np.select([inside <= 0, inside >= 1], [lo, hi], np.clip(numbers, lo, hi))

    def draw(self, uniforms: Floats) -> Floats:
        """Unit coordinates of random values: uniform in the scaled value, each of a lattice by its share of it."""
        if self.grid is not None and self.edges is not None:
            return self.grid[np.searchsorted(self.edges, uniforms, side="right")]
        if self.lattice is None or self.steps is None:
            return self.snap(uniforms)
        low, high = _borders(self.lattice, self.scaling)
        numbers = _all(_BACKWARD[self.scaling], low * (1 - uniforms) + high * uniforms)
        return self.snap(self.units(self.steps.values(self.steps.nearest(numbers))))

    @property
    def size(self) -> int | None:
        """Number of distinct values, or None for a continuous range."""
        return None if self.lattice is None else self.lattice.size

    def at(self, place: int) -> float:
        """The unit coordinate of the value at this place of a finite range."""
        assert self.lattice is not None, "only finite ranges have places"
        return float(self.grid[place]) if self.grid is not None else self.unit(self.lattice.value(place))

    def place(self, unit: float) -> int:
        """The place of the value nearest to a unit coordinate in a finite range."""
        if self.grid is not None:
            return int(nearest(self.grid, np.array([unit]))[0])
        assert self.lattice is not None, "only finite ranges have places"
        return self.lattice.nearest(float(self.value(unit)))

    def places(self, units: Floats) -> Ints:
        """The places of the values nearest to unit coordinates in a finite range."""
        if self.grid is not None:
            return nearest(self.grid, np.clip(units, 0.0, 1.0))
        assert self.steps is not None, "only finite ranges have places"
        return np.asarray(self.steps.nearest(self.numbers(units)), dtype=np.int64)

    def shares(self) -> Floats:
        """The probability of each value of a finite range under `draw`, shape (size,)."""
        if self.low == self.high or self.lattice is None:
            return np.ones(1)
        edges = self.edges if self.edges is not None else _edges(self.lattice, self.scaling)
        return np.diff(np.concatenate([[0.0], edges, [1.0]]))

    def snap(self, units: Floats) -> Floats:
        """The unit coordinates of the nearest legal values."""
        inside = np.clip(units, 0.0, 1.0)
        if self.grid is not None:
            return self.grid[nearest(self.grid, inside)]
        return inside if self.lattice is None else self.units(self.numbers(inside))


def _edges(lattice: Lattice, scaling: Scaling) -> Floats:
    """Cumulative probabilities of a lattice's values: shares of the range, half a step wider, after scaling."""
    forward, first, step = _FORWARD[scaling], float(lattice.first), float(lattice.step)
    low, high = _borders(lattice, scaling)
    inner = [forward(first + (index - 0.5) * step) for index in range(1, lattice.size)]
    return np.asarray((np.array(inner) - low) / (high - low), dtype=np.float64)


def _borders(lattice: Lattice, scaling: Scaling) -> tuple[float, float]:
    """The scaled ends of the range that a lattice's values share: half a step further out.

    Where the scaling is not defined there, the outermost value gets as much on its outer as on its inner side.
    """
    forward, half = _FORWARD[scaling], lattice.step / 2
    last = lattice.first + (lattice.size - 1) * lattice.step
    low, high = forward(float(lattice.first - half)), forward(float(last + half))
    if math.isnan(low):
        low = 2 * forward(float(lattice.first)) - forward(float(lattice.first + half))
    if math.isnan(high):
        high = 2 * forward(float(last)) - forward(float(last - half))
    return low, high


def nearest(grid: Floats, units: Floats) -> Ints:
    """Indices of the grid values nearest to `units`; `grid` ascends."""
    if len(grid) == 1:
        return np.zeros(len(units), dtype=np.int64)
    right = np.clip(np.searchsorted(grid, units), 1, len(grid) - 1)
    left_is_nearer = np.abs(units - grid[right - 1]) <= np.abs(units - grid[right])
    return np.asarray(right - left_is_nearer, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CategoricalAxis:
    """A categorical parameter: the coordinate is the index of the value. Methods as in `NumericAxis`."""

    parameter: CategoricalParameter
    index: dict[tuple[type, Value], int] = field(default_factory=dict)

    @classmethod
    def of(cls, parameter: CategoricalParameter) -> CategoricalAxis:
        return cls(parameter, {(type(value), value): place for place, value in enumerate(parameter.values)})

    @property
    def grid(self) -> Floats:
        return np.arange(len(self.parameter.values), dtype=np.float64)

    def unit(self, value: Value) -> float:
        """The value's index; NaN for a value that is not listed."""
        return float(self.index.get((type(value), value), math.nan))

    def value(self, unit: float) -> Value:
        return self.parameter.values[int(unit)]

    def draw(self, uniforms: Floats) -> Floats:
        """Indices of random values, each value as likely as any other."""
        return np.minimum(np.floor(uniforms * self.size), self.size - 1)

    @property
    def size(self) -> int:
        return len(self.parameter.values)

    def at(self, place: int) -> float:
        return float(place)

    def place(self, unit: float) -> int:
        return int(unit)

    def places(self, units: Floats) -> Ints:
        return units.astype(np.int64)

    def shares(self) -> Floats:
        return np.full(self.size, 1.0 / self.size)

    def snap(self, units: Floats) -> Floats:
        return np.clip(np.round(units), 0, len(self.parameter.values) - 1)


Axis: TypeAlias = NumericAxis | CategoricalAxis


def axis_of(parameter: Parameter) -> Axis:
    if isinstance(parameter, CategoricalParameter):
        return CategoricalAxis.of(parameter)
    return NumericAxis.of(parameter)
