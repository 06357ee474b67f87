"""A space as a unit cube, and back.

A *row* is the unit coordinates of a point: one float per parameter, 0 to 1 inside the range; a categorical
parameter holds the index of its value. *Features* are what a kernel sees: rows with the categoricals one-hot,
scaled by sqrt(1/2) so that two different values are at squared distance 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Point,
    Scaling,
    Space,
    Value,
)

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

MAX_LATTICE = 4096
"""Integer ranges with more values than this are continuous to the model, and rounded when decoded."""


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


@dataclass(frozen=True, slots=True)
class NumericAxis:
    """A numeric parameter on [0, 1]: linear in its scaled value, ends of the range at 0 and 1.

    Args:
        grid: the unit coordinates of all legal values in order, shape (size,); None for a continuous axis.
        edges: where a uniform draw changes from one value of the grid to the next, shape (size - 1,).
    """

    parameter: ContinuousParameter | IntegerParameter
    scaling: Scaling
    low: float
    high: float
    grid: Floats | None
    edges: Floats | None

    @classmethod
    def of(cls, parameter: ContinuousParameter | IntegerParameter) -> NumericAxis:
        scaling = parameter.scaling()
        low, high = _FORWARD[scaling](parameter.min_value), _FORWARD[scaling](parameter.max_value)
        axis = cls(parameter, scaling, low, high, None, None)
        if low == high:
            return cls(parameter, scaling, low, high, np.array([0.5]), np.empty(0))
        if isinstance(parameter, ContinuousParameter):
            return axis
        first, last = int(parameter.min_value), int(parameter.max_value)
        if last - first >= MAX_LATTICE:
            return axis
        grid = np.array([axis.unit(value) for value in range(first, last + 1)])
        return cls(parameter, scaling, low, high, grid, _edges(parameter, scaling))

    @property
    def whole(self) -> bool:
        return isinstance(self.parameter, IntegerParameter)

    def unit(self, value: Value) -> float:
        """The unit coordinate, unclipped outside the range; NaN where the scaling is not defined."""
        if isinstance(value, str | bool):
            return math.nan
        scaled = _FORWARD[self.scaling](float(value))
        if self.low == self.high:
            return 0.5 + (scaled - self.low) / max(1.0, abs(self.low))
        # Halves keep a range such as [-1e308, 1e308] from overflowing.
        return (0.5 * scaled - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)

    def value(self, unit: float) -> Value:
        """The native value nearest to a unit coordinate, within the bounds."""
        lo, hi = self.parameter.min_value, self.parameter.max_value
        if self.low == self.high:
            return int(lo) if self.whole else float(lo)
        if unit <= 0 or unit >= 1:
            number = lo if unit <= 0 else hi
        else:
            number = _BACKWARD[self.scaling](self.low * (1 - unit) + self.high * unit)
        if not self.whole:
            return float(min(max(number, lo), hi))
        return min(max(round(number), int(lo)), int(hi))

    def draw(self, uniforms: Floats) -> Floats:
        """Unit coordinates of random values: uniform in the scaled value, each integer by its share of it."""
        if self.grid is not None and self.edges is not None:
            return self.grid[np.searchsorted(self.edges, uniforms, side="right")]
        if not self.whole:
            return self.snap(uniforms)
        low = _FORWARD[self.scaling](self.parameter.min_value - 0.5)
        high = _FORWARD[self.scaling](self.parameter.max_value + 0.5)
        numbers = [round(_BACKWARD[self.scaling](low * (1 - u) + high * u)) for u in uniforms]
        return self.snap(np.array([self.unit(number) for number in numbers]))

    @property
    def size(self) -> int | None:
        """Number of distinct values, or None for a continuous range."""
        if self.grid is not None:
            return len(self.grid)
        return int(self.parameter.max_value) - int(self.parameter.min_value) + 1 if self.whole else None

    def at(self, place: int) -> float:
        """The unit coordinate of the value at this place of a finite range."""
        return float(self.grid[place]) if self.grid is not None else self.unit(int(self.parameter.min_value) + place)

    def place(self, unit: float) -> int:
        """The place of the value nearest to a unit coordinate in a finite range."""
        if self.grid is not None:
            return int(nearest(self.grid, np.array([unit]))[0])
        return int(self.value(unit)) - int(self.parameter.min_value)

    def shares(self) -> Floats:
        """The probability of each value of a finite range under `draw`, shape (size,)."""
        if self.low == self.high or not self.whole:
            return np.ones(1)
        edges = self.edges if self.edges is not None else _edges(self.parameter, self.scaling)
        return np.diff(np.concatenate([[0.0], edges, [1.0]]))

    def snap(self, units: Floats) -> Floats:
        """The unit coordinates of the nearest legal values."""
        inside = np.clip(units, 0.0, 1.0)
        if self.grid is not None:
            return self.grid[nearest(self.grid, inside)]
        if not self.whole:
            return inside
        return np.array([self.unit(self.value(float(unit))) for unit in inside])


def _edges(parameter: ContinuousParameter | IntegerParameter, scaling: Scaling) -> Floats:
    """Cumulative probabilities of the integers: shares of [min - 1/2, max + 1/2] after scaling."""
    first, last = int(parameter.min_value), int(parameter.max_value)
    forward = _FORWARD[scaling]
    borders = np.array([forward(value - 0.5) for value in range(first, last + 2)])
    return np.asarray((borders[1:-1] - borders[0]) / (borders[-1] - borders[0]), dtype=np.float64)


def nearest(grid: Floats, units: Floats) -> Ints:
    """Indices of the grid values nearest to `units`; `grid` ascends."""
    if len(grid) == 1:
        return np.zeros(len(units), dtype=np.int64)
    right = np.clip(np.searchsorted(grid, units), 1, len(grid) - 1)
    left_is_nearer = np.abs(units - grid[right - 1]) <= np.abs(units - grid[right])
    return np.asarray(right - left_is_nearer, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CategoricalAxis:
    """A categorical parameter: the coordinate is the index of the value."""

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
        return np.minimum(np.floor(uniforms * self.size), self.size - 1)

    @property
    def size(self) -> int:
        return len(self.parameter.values)

    def at(self, place: int) -> float:
        return float(place)

    def place(self, unit: float) -> int:
        return int(unit)

    def shares(self) -> Floats:
        return np.full(self.size, 1.0 / self.size)

    def snap(self, units: Floats) -> Floats:
        return np.clip(np.round(units), 0, len(self.parameter.values) - 1)


Axis: TypeAlias = NumericAxis | CategoricalAxis


def _axis(parameter: Parameter) -> Axis:
    if isinstance(parameter, CategoricalParameter):
        return CategoricalAxis.of(parameter)
    return NumericAxis.of(parameter)


class Cube:
    """The unit cube of a space of d parameters.

    Attributes:
        axes: one per parameter, in the order of the space.
        levels: number of values of each categorical, 0 for numeric parameters, shape (d,).
        categorical, lattice, continuous: index arrays of the three kinds of axes (lattice: small integer ranges).
        group: which parameter each feature column belongs to, shape (F,).
        column: the first feature column of each parameter, shape (d,).
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = tuple(space.parameters)
        self.axes: tuple[Axis, ...] = tuple(_axis(parameter) for parameter in space.parameters.values())
        self.levels: Ints = np.array(
            [len(a.parameter.values) if isinstance(a, CategoricalAxis) else 0 for a in self.axes], dtype=np.int64
        )
        self.is_categorical = self.levels > 0
        gridded = np.array([axis.grid is not None for axis in self.axes], dtype=bool)
        self.categorical = np.flatnonzero(self.is_categorical)
        self.numeric = np.flatnonzero(~self.is_categorical)
        self.lattice = np.flatnonzero(gridded & ~self.is_categorical)
        self.continuous = np.flatnonzero(~gridded)
        self.widths = np.where(self.is_categorical, self.levels, 1)
        self.group: Ints = np.repeat(np.arange(self.d), self.widths)
        self.column: Ints = np.concatenate([[0], np.cumsum(self.widths)[:-1]]).astype(np.int64)
        sizes = [axis.size for axis in self.axes]
        self.size = None if None in sizes else math.prod(size for size in sizes if size is not None)
        """Number of distinct points, or None when it is infinite."""

    @property
    def d(self) -> int:
        return len(self.axes)

    def encode(self, point: Point) -> Floats:
        """The row of a point, shape (d,); unclipped outside the ranges, NaN where there is no coordinate."""
        return np.array(
            [a.unit(point[n]) if n in point else math.nan for n, a in zip(self.names, self.axes, strict=True)]
        )

    def encode_all(self, points: Iterable[Point]) -> Floats:
        """Rows of several points, shape (n, d)."""
        rows = [self.encode(point) for point in points]
        return np.array(rows, dtype=np.float64).reshape(len(rows), self.d)

    def decode(self, row: Floats) -> dict[str, Value]:
        """The point of a row, with native types, inside all bounds."""
        return {n: a.value(float(u)) for n, a, u in zip(self.names, self.axes, row, strict=True)}

    def draw(self, uniforms: Floats) -> Floats:
        """Rows of random points from uniform numbers in [0, 1), shape (m, d) both."""
        return self._each(uniforms, lambda axis, column: axis.draw(column))

    def snap(self, rows: Floats) -> Floats:
        """The nearest rows of legal points, shape (m, d)."""
        return self._each(rows, lambda axis, column: axis.snap(column))

    def _each(self, rows: Floats, move: Callable[[Axis, Floats], Floats]) -> Floats:
        out = np.empty_like(rows)
        for j, axis in enumerate(self.axes):
            out[:, j] = move(axis, rows[:, j])
        return out

    def centre(self) -> Floats:
        """The row in the middle of every numeric range, with the first value of every categorical."""
        row = np.where(self.is_categorical, 0.0, 0.5)[None]
        return np.asarray(self.snap(row)[0])

    def features(self, rows: Floats) -> Floats:
        """What a kernel sees of rows (n, d): shape (n, F)."""
        if not len(self.categorical):
            return rows
        out = np.zeros((len(rows), len(self.group)))
        out[:, self.column[self.numeric]] = rows[:, self.numeric]
        lines = np.arange(len(rows))
        for j in self.categorical:
            out[lines, self.column[j] + rows[:, j].astype(np.int64)] = math.sqrt(0.5)
        return out

    def row_at(self, index: int) -> Floats:
        """The row with this index in the counting order of a finite space: the last parameter varies fastest."""
        row = np.empty(self.d)
        for j in range(self.d - 1, -1, -1):
            size = self.axes[j].size
            assert size is not None, "only finite spaces are counted"
            index, place = divmod(index, size)
            row[j] = self.axes[j].at(place)
        return row

    @cached_property
    def all_rows(self) -> Floats:
        """Every row of a small finite space in counting order, shape (size, d)."""
        assert self.size is not None, "only finite spaces are counted"
        return np.array([self.row_at(index) for index in range(self.size)])

    def index_of(self, row: Floats) -> int:
        """The index of the point nearest to a row in the counting order of a finite space."""
        index = 0
        for axis, unit in zip(self.axes, row, strict=True):
            assert axis.size is not None, "only finite spaces are counted"
            index = index * axis.size + axis.place(float(unit))
        return index

    def key(self, row: Floats) -> bytes:
        """Equal for rows that are the same point but for rounding."""
        return (np.round(row, 9) + 0.0).tobytes()
