"""A space as a unit cube, and back.

A *row* is the unit coordinates of a point: one float per parameter, 0 to 1 inside the range; a categorical
parameter holds the index of its value. A parameter that is not active rests at one place, so that equal points
have equal rows. *Features* are what a kernel sees: rows with the categoricals one-hot, scaled by sqrt(1/2) so that
two different values are at squared distance 1; one that is not active is none of its values.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunewright.core.conditions import Rule, names_in, truth
from tunewright.core.counting import MOST_WORK, Finder, Uncounted
from tunewright.core.errors import Invalid
from tunewright.core.space import Point, Space, Value
from tunewright.search.activity import Activity
from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.axes import Axis, CategoricalAxis, axis_of

_EDGE = 1e-9
_SWEEPS = 4
_PATIENCE = 10 * MOST_WORK
"""A search goes on for longer than the check of a request, for which somebody waits."""


@dataclass(frozen=True, slots=True)
class _Level:
    """One parameter as it is counted through: its choices as unit coordinates and values."""

    name: str
    column: int
    condition: Rule | None
    forbidden: list[Rule]
    choices: list[tuple[float, Value]]


class Cube:
    """The unit cube of a space of d parameters.

    Attributes:
        axes: one per parameter, in the order of the space.
        levels: number of values of each categorical, 0 for numeric parameters, shape (d,).
        categorical, lattice, continuous: index arrays of the three kinds of axes (lattice: small stepped ranges).
        numeric: index array of all axes but the categorical ones.
        group: which parameter each feature column belongs to, shape (F,).
        column: the first feature column of each parameter, shape (d,).
        rest: where each parameter lies that is not active, shape (d,).
        size: number of distinct points, or None when they are infinite, or too many to count.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = tuple(space.parameters)
        self.axes: tuple[Axis, ...] = tuple(axis_of(parameter) for parameter in space.parameters.values())
        self.activity = Activity(space.rules, self.names, self.axes)
        self.levels: Ints = np.array(
            [len(a.parameter.values) if isinstance(a, CategoricalAxis) else 0 for a in self.axes], dtype=np.int64
        )
        self.is_categorical = self.levels > 0
        gridded = np.array([axis.grid is not None for axis in self.axes], dtype=bool)
        self.categorical = np.flatnonzero(self.is_categorical)
        self.numeric = np.flatnonzero(~self.is_categorical)
        self.lattice = np.flatnonzero(gridded & ~self.is_categorical)
        self.continuous = np.flatnonzero(~gridded)
        widths = np.where(self.is_categorical, self.levels, 1)
        self.group: Ints = np.repeat(np.arange(self.d), widths)
        self.column: Ints = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
        middle = np.where(self.is_categorical, 0.0, 0.5)[None]
        self.rest: Floats = self._each(middle, lambda axis, column: axis.snap(column))[0]
        self.size = space.size()
        self._walking, self._walked, self._turn = self.walk(), list[Floats](), threading.Lock()

    @property
    def d(self) -> int:
        return len(self.axes)

    @property
    def plain(self) -> bool:
        """Whether there are no rules: all parameters are active, every point is allowed."""
        return self.activity.rules.none

    def encode(self, point: Point) -> Floats:
        """The row of a point, shape (d,); outside the ranges as far as `axes.FAR`, NaN where there is no coordinate."""
        row = np.array(
            [a.unit(point[n]) if n in point else math.nan for n, a in zip(self.names, self.axes, strict=True)]
        )
        if not self.activity.conditional:
            return row
        active = self.activity.rules.active(point)
        return np.where([name in active for name in self.names], row, self.rest)

    def decode(self, row: Floats) -> dict[str, Value]:
        """The point of a row, with native types, inside all bounds; its active parameters alone."""
        point = {n: a.value(float(u)) for n, a, u in zip(self.names, self.axes, row, strict=True)}
        if not self.activity.conditional:
            return point
        active = self.activity.rules.active(point)
        return {name: value for name, value in point.items() if name in active}

    def draw(self, uniforms: Floats) -> Floats:
        """Rows of random points from uniform numbers in [0, 1), shape (m, d) both."""
        return self.canonical(self._each(uniforms, lambda axis, column: axis.draw(column)))

    def snap(self, rows: Floats) -> Floats:
        """The nearest rows of points inside all ranges, shape (m, d); whether they are forbidden is not looked at."""
        return self.canonical(self._each(rows, lambda axis, column: axis.snap(column)))

    def canonical(self, rows: Floats) -> Floats:
        """Rows with parameters that are not active at rest."""
        return np.where(self.activity.active(rows), rows, self.rest) if self.activity.conditional else rows

    def allowed(self, rows: Floats) -> Bools:
        """Which rows no rule forbids, shape (m,)."""
        return self.activity.allowed(rows)

    def inside(self, rows: Floats) -> Bools:
        """Which rows (n, d) lie within the ranges of all numeric parameters, but for rounding."""
        numbers = rows[:, self.numeric]
        return np.asarray(((numbers >= -_EDGE) & (numbers <= 1.0 + _EDGE)).all(axis=1))

    def lawful(self, row: Floats) -> bool:
        """Whether no rule forbids a row."""
        return bool(self.allowed(row[None])[0])

    def wander(self, rng: np.random.Generator) -> Floats:
        """A random allowed row where the allowed ones are rare: one is found, then each coordinate is drawn anew.

        Raises:
            Invalid: no allowed row was found.
        """
        finder = Finder(self.space.parameters, self.activity.rules, _PATIENCE)
        try:
            point = finder.find(shuffle=lambda each: [each[i] for i in rng.permutation(len(each))])
        except Uncounted:
            point = None
        if point is None:
            raise Invalid.one("forbidden", "no allowed combination of values was found; loosen one of the rules.")
        row = self.encode(point)
        for j in np.concatenate([rng.permutation(self.d) for _ in range(_SWEEPS)]):
            moved = row.copy()
            moved[j] = self.axes[j].draw(rng.random(1))[0]
            moved = self.canonical(moved[None])[0]
            if self.lawful(moved):
                row = moved
        return row

    def _each(self, rows: Floats, move: Callable[[Axis, Floats], Floats]) -> Floats:
        out = np.empty_like(rows)
        for j, axis in enumerate(self.axes):
            out[:, j] = move(axis, rows[:, j])
        return out

    def centre(self) -> Floats:
        """The row in the middle of every numeric range, with the first value of every categorical."""
        return np.asarray(self.canonical(self.rest[None])[0])

    def features(self, rows: Floats) -> Floats:
        """What a kernel sees of rows (n, d): shape (n, F)."""
        if not len(self.categorical):
            return rows
        out = np.zeros((len(rows), len(self.group)))
        out[:, self.column[self.numeric]] = rows[:, self.numeric]
        lines = np.arange(len(rows))
        for j in self.categorical:
            out[lines, self.column[j] + rows[:, j].astype(np.int64)] = math.sqrt(0.5)
        if self.activity.conditional:
            idle = ~self.activity.active(rows)[:, self.group] & self.is_categorical[self.group]
            out[idle] = 0.0
        return out

    def row_at(self, index: int) -> Floats:
        """The row with this index in the counting order of a finite space."""
        if not self.plain:
            with self._turn:  # a cube is everybody's who has its space
                while len(self._walked) <= index:
                    self._walked.append(next(self._walking))
            return self._walked[index]
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
        return np.array([self.row_at(index) for index in range(self.size)]).reshape(-1, self.d)

    def walk(self) -> Iterator[Floats]:
        """Every row of a finite space in counting order: the last parameter varies fastest.

        With conditions a parameter comes after those that its own speaks of.
        """
        if self.plain:
            assert self.size is not None, "only finite spaces are counted"
            yield from (self.row_at(index) for index in range(self.size))
        else:
            yield from self._descend(0, {}, self.rest.copy())

    def _descend(self, place: int, point: dict[str, Value], row: Floats) -> Iterator[Floats]:
        if place == self.d:
            yield row.copy()
            return
        level = self._levels[place]
        if level.condition is not None and truth(level.condition, point) != 1:
            yield from self._descend(place + 1, point, row)
            return
        for unit, value in level.choices:
            row[level.column] = unit
            point[level.name] = value
            if not any(truth(rule, point) == 1 for rule in level.forbidden):
                yield from self._descend(place + 1, point, row)
        del point[level.name]
        row[level.column] = self.rest[level.column]

    @cached_property
    def _levels(self) -> list[_Level]:
        """The parameters in the order of counting, with all that counting needs of each."""
        rules, levels = self.activity.rules, []
        for name in rules.order:
            axis = self.axes[self.names.index(name)]
            assert axis.size is not None, "only finite spaces are counted"
            units = [axis.at(choice) for choice in range(axis.size)]
            choices = [(unit, axis.value(unit)) for unit in units]
            mine = [rule for rule in rules.forbidden if name in names_in(rule)]
            levels.append(_Level(name, self.names.index(name), rules.conditions.get(name), mine, choices))
        return levels

    @cached_property
    def weights(self) -> Floats:
        """How likely `draw` makes each row of a small finite space, in counting order and up to a factor."""
        weights = np.ones(1)
        if self.plain:
            for axis in self.axes:
                weights = np.outer(weights, axis.shares()).ravel()
            return weights
        active = self.activity.active(self.all_rows)
        weights = np.ones(len(self.all_rows))
        for j, axis in enumerate(self.axes):
            weights *= np.where(active[:, j], axis.shares()[axis.places(self.all_rows[:, j])], 1.0)
        return weights

    def index_of(self, row: Floats) -> int:
        """The index of the point nearest to a row in the counting order of a finite space without rules."""
        index = 0
        for axis, unit in zip(self.axes, row, strict=True):
            assert axis.size is not None, "only finite spaces are counted"
            index = index * axis.size + axis.place(float(unit))
        return index

    def gaps(self, rows: Floats, others: Floats) -> Floats:
        """Absolute differences by coordinate of arrays that broadcast; different categorical values are 1 apart."""
        gaps = np.abs(rows - others)
        gaps[..., self.is_categorical] = gaps[..., self.is_categorical] > 0
        return gaps

    def key(self, row: Floats) -> bytes:
        """Equal for rows that are the same point but for rounding."""
        return (np.round(row, 9) + 0.0).tobytes()
