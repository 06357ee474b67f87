"""What is left of rules once some parameters have their values.

A rule is a number here, and equal remains are one number, so that whoever gives parameters their values in turn sees
at once which beginnings leave the same to say. Negations are carried down to the comparisons, where unknown stays
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeAlias

from tunewright.core.cells import Cell
from tunewright.core.conditions import AnyOf, Compare, Not, Rule, names_in, truth
from tunewright.core.parameters import Value

NEVER, HOLDS, UNKNOWN = 0, 1, 2
"""Rules that are decided, whatever values are still missing."""
IDLE = -1
"""In place of a cell: the parameter is not active, and what is said of it unknown."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Of the parameter at a place: whether a comparison holds, for each of its cells."""

    place: int
    holds: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Both:
    """A comparison of two parameters that have no value yet, or its opposite."""

    rule: Compare
    opposite: bool


@dataclass(frozen=True, slots=True)
class _Joined:
    """Several rules: that all hold, or any.

    Args:
        end: what decides, said by one of them.
    """

    end: int
    parts: tuple[int, ...]


_Node: TypeAlias = _Table | _Both | _Joined


class Remains:
    """The rules of parameters that are given their values in turn."""

    def __init__(self, names: Sequence[str], cells: Sequence[Sequence[Cell]], spend: Callable[[int], None]) -> None:
        """`spend` is told how many comparisons are looked at, and may raise."""
        self._names, self._cells, self._spend = names, cells, spend
        self._places = {name: place for place, name in enumerate(names)}
        self._nodes: list[_Node | None] = [None] * 3
        self._spoken = [0] * 3  # a bit for each place
        self._numbers: dict[_Node, int] = {}
        self._known: dict[tuple[int, int, int], int] = {}

    def read(self, rule: Rule, opposite: bool = False) -> int:
        """A rule, or its opposite, while no parameter has a value."""
        if isinstance(rule, Not):
            return self.read(rule.part, not opposite)
        if isinstance(rule, Compare):
            names = names_in(rule)
            if len(names) == 1:
                return self._table(rule, opposite, names[0], {})
            return self._number(_Both(rule, opposite), sum(1 << self._places[name] for name in names))
        end = HOLDS if isinstance(rule, AnyOf) != opposite else NEVER
        return self._joined(end, [self.read(part, opposite) for part in rule.parts])

    def after(self, rule: int, place: int, pick: int) -> int:
        """What is left of a rule when the parameter at a place is in one of its cells, or IDLE."""
        if not self._spoken[rule] >> place & 1:
            return rule
        key = rule, place, pick
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._after(self._nodes[rule], place, pick)
        return found

    def _after(self, node: _Node | None, place: int, pick: int) -> int:
        if isinstance(node, _Joined):
            self._spend(len(node.parts))
            spoken, bit = self._spoken, 1 << place
            parts = [self.after(part, place, pick) if spoken[part] & bit else part for part in node.parts]
            return self._joined(node.end, parts)
        if pick == IDLE:
            return UNKNOWN
        if isinstance(node, _Table):
            return HOLDS if node.holds[pick] else NEVER
        assert node is not None, "what is decided speaks of no parameter"
        name = self._names[place]
        (other,) = set(node.rule.names()) - {name}
        return self._table(node.rule, node.opposite, other, {name: self._cells[place][pick].value})

    def _table(self, rule: Compare, opposite: bool, name: str, point: dict[str, Value]) -> int:
        """A comparison in which no parameter but one is without a value."""
        place = self._places[name]
        cells = self._cells[place]
        self._spend(len(cells))
        said = []
        for cell in cells:
            point[name] = cell.value
            said.append((truth(rule, point) == 1) != opposite)
        return self._number(_Table(place, tuple(said)), 1 << place)

    def _joined(self, end: int, parts: Sequence[int]) -> int:
        if end in parts:
            return end
        open_ = tuple(sorted({part for part in parts if part not in (NEVER, HOLDS)}))
        if len(open_) < 2:
            return open_[0] if open_ else HOLDS + NEVER - end
        return self._number(_Joined(end, open_), reduce(or_, map(self._spoken.__getitem__, open_)))

    def _number(self, node: _Node, spoken: int) -> int:
        found = self._numbers.get(node)
        if found is None:
            found = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self._spoken.append(spoken)
        return found
