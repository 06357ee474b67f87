"""The rules of a space over many rows at once: what is active, and what is allowed.

What a comparison says of a value is worked out once for each value of a small range, and from the decoded number
of a continuous one, so that it is exactly what the rules say of the decoded point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunewright.core.conditions import Compare, Literal, Name, Rule, compare, fold, number_of
from tunewright.core.rules import Rules
from tunewright.core.space import Value
from tunewright.search.arrays import Bools, Floats
from tunewright.search.axes import Axis, NumericAxis

Truths: TypeAlias = NDArray[np.int8]

_OPERATIONS: Mapping[str, Callable[[Floats, float], Bools]] = {
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


class Activity:
    """Rules, and the axes that their parameters lie on.

    Attributes:
        conditional: whether any parameter has a condition.
    """

    def __init__(self, rules: Rules, names: tuple[str, ...], axes: tuple[Axis, ...]) -> None:
        self.rules = rules
        self.conditional = bool(rules.conditions)
        self._column = {name: place for place, name in enumerate(names)}
        self._axes = axes
        self._tables: dict[str, Bools] = {}

    def active(self, rows: Floats) -> Bools:
        """Which parameters are active in rows (n, d): shape (n, d)."""
        active = np.ones(rows.shape, dtype=bool)
        for name in self.rules.order:
            condition = self.rules.conditions.get(name)
            if condition is not None:
                active[:, self._column[name]] = self._truth(condition, rows, active) == 1
        return active

    def allowed(self, rows: Floats) -> Bools:
        """Which rows no rule forbids, shape (n,)."""
        allowed = np.ones(len(rows), dtype=bool)
        if not self.rules.forbidden:
            return allowed
        active = self.active(rows)
        for rule in self.rules.forbidden:
            allowed &= self._truth(rule, rows, active) != 1
        return allowed

    def _truth(self, rule: Rule, rows: Floats, active: Bools) -> Truths:
        def leaf(one: Compare) -> Truths:
            truths = np.where(self._holds(one, rows), 1, -1).astype(np.int8)
            for name in one.names():
                truths[~active[:, self._column[name]]] = 0
            return truths

        return fold(rule, leaf, np.minimum, np.maximum)

    def _holds(self, one: Compare, rows: Floats) -> Bools:
        left, right = one.left, one.right
        if isinstance(left, Name) and isinstance(right, Name):
            lefts, rights = self._values(left.name, rows), self._values(right.name, rows)
            return np.array([compare(a, one.op, b) for a, b in zip(lefts, rights, strict=True)], dtype=bool)
        name = one.names()[0]
        axis, column = self._axes[self._column[name]], rows[:, self._column[name]]
        if axis.grid is not None:
            return np.asarray(self._table(one, axis)[axis.places(column)])
        assert isinstance(axis, NumericAxis), "categories have a grid"
        numbers = axis.numbers(column)
        if isinstance(right, Literal):
            return _OPERATIONS[one.op](numbers, float(number_of(right.value) or 0))
        assert isinstance(left, Literal), "one side is a value"
        return _OPERATIONS[_MIRRORED.get(one.op, one.op)](numbers, float(number_of(left.value) or 0))

    def _table(self, one: Compare, axis: Axis) -> Bools:
        """What a comparison says of each value of a small range."""
        key = repr(one)  # as values, 1 and True are one key
        found = self._tables.get(key)
        if found is None:
            assert axis.grid is not None, "only small ranges have tables"
            values = [axis.value(float(unit)) for unit in axis.grid]
            right = one.right
            if isinstance(right, Literal):
                said = [compare(value, one.op, right.value) for value in values]
            else:
                assert isinstance(one.left, Literal), "one side is a value"
                said = [compare(one.left.value, one.op, value) for value in values]
            found = self._tables[key] = np.array(said, dtype=bool)
        return found

    def _values(self, name: str, rows: Floats) -> list[Value]:
        place = self._column[name]
        return [self._axes[place].value(float(unit)) for unit in rows[:, place]]


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
