"""Counting the points that rules leave, and finding one.

What the rules say is looked at once for each combination of cells (`core.cells`). Parameters that no rule connects
multiply. Within a group the parameters are given values in turn, and what follows is counted once for all
beginnings that the rules which are still open cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunewright.core.cells import Cell, alike, cells_of
from tunewright.core.conditions import Rule, names_in, truth
from tunewright.core.parameters import Parameter, Value
from tunewright.core.rules import Rules

MOST_LOOKS = 300_000
"""Combinations of cells looked at before a search or a count is given up."""

FEW = 1 << 15
"""Spaces with rules and no more points than this are walked through by those who know their number."""


class Uncounted(Exception):
    """There are too many combinations to look at."""


class _Endless(Exception):
    """There are points without end."""


Shuffle: TypeAlias = Callable[[list[Cell]], list[Cell]]


def count(parameters: Mapping[str, Parameter], rules: Rules) -> int | None:
    """How many points there are; None when they are infinite, or too many to tell."""
    total: int | None = 1
    try:
        for names in _groups(parameters, rules):
            try:
                part: int | None = _Tally(parameters, rules, names).points()
            except _Endless:
                part = None
            if part == 0:
                return 0
            total = None if total is None or part is None else total * part
    except Uncounted:
        return None
    return total


def find(
    parameters: Mapping[str, Parameter],
    rules: Rules,
    fixed: Mapping[str, Value] | None = None,
    needed: Collection[str] = (),
    shuffle: Shuffle | None = None,
) -> dict[str, Value] | None:
    """An allowed point in which the `fixed` parameters have these values, or None.

    Args:
        needed: parameters that must be active, beside the fixed ones.
        shuffle: puts the choices for a parameter in an order; the first that works is taken.

    Raises:
        Uncounted: too many combinations were looked at in vain.
    """
    given = fixed or {}
    point: dict[str, Value] = {}
    for names in _groups(parameters, rules):
        found = next(_search(parameters, rules, names, (given, needed), shuffle), None)
        if found is None:
            return None
        point.update(found)
    return {name: point[name] for name in parameters if name in point}


def _groups(parameters: Mapping[str, Parameter], rules: Rules) -> list[list[str]]:
    """Names that rules connect, each group in the rules' order."""
    group = {name: {name} for name in parameters}
    linked = [{name, *names_in(rule)} for name, rule in rules.conditions.items()]
    for names in [*linked, *(set(names_in(rule)) for rule in rules.forbidden)]:
        together = set().union(*(group[name] for name in names)) if names else set()
        for name in together:
            group[name] = together
    done: set[str] = set()
    found = []
    for name in rules.order:
        if name not in done:
            found.append([each for each in rules.order if each in group[name]])
            done |= group[name]
    return found


def _search(
    parameters: Mapping[str, Parameter],
    rules: Rules,
    names: Sequence[str],
    wanted: tuple[Mapping[str, Value], Collection[str]],
    shuffle: Shuffle | None,
) -> Iterator[dict[str, Value]]:
    """Every allowed combination of cells of a group; `wanted` as in `find`."""
    fixed, needed = wanted
    told = {name: [rule for rule in rules.forbidden if name in names_in(rule)] for name in names}
    due = [rules.conditions[name] for name in names if name in rules.conditions and (name in fixed or name in needed)]
    cells = {name: [Cell(fixed[name], 1)] if name in fixed else cells_of(name, parameters, rules) for name in names}
    looks = 0

    def descend(place: int, point: dict[str, Value]) -> Iterator[dict[str, Value]]:
        nonlocal looks
        looks += 1
        if looks > MOST_LOOKS:
            raise Uncounted
        last = names[place - 1] if place else None
        # Only what speaks of the last value can have come to hold with it; what does not hold now never will.
        if last in point and (
            any(truth(rule, point) == 1 for rule in told[last]) or any(truth(rule, point) == -1 for rule in due)
        ):
            return
        if place == len(names):
            yield dict(point)
            return
        name = names[place]
        condition = rules.conditions.get(name)
        if condition is not None and truth(condition, point) != 1:
            if name not in fixed and name not in needed:
                yield from descend(place + 1, point)
            return
        for cell in shuffle(list(cells[name])) if shuffle else cells[name]:
            point[name] = cell.value
            yield from descend(place + 1, point)
            del point[name]

    return descend(0, {})


@dataclass(frozen=True, slots=True)
class _Open:
    """A rule of a group.

    Args:
        names: the places of the parameters that it speaks of.
        until: the place from which on it says nothing more.
        forbids: whether it is no condition.
    """

    rule: Rule
    names: frozenset[int]
    until: int
    forbids: bool


Said: TypeAlias = tuple[int, ...]
"""The truth of each rule of a group."""


class _Tally:
    """Counts the points of one group of parameters."""

    def __init__(self, parameters: Mapping[str, Parameter], rules: Rules, names: Sequence[str]) -> None:
        self._names = names
        self._cells = [alike(name, parameters, rules) for name in names]
        places = {name: place for place, name in enumerate(names)}
        self._rules: list[_Open] = []
        self._condition: dict[int, int] = {}
        for name in names:
            if name in rules.conditions:
                self._condition[places[name]] = len(self._rules)
                self._add(rules.conditions[name], places, places[name])
        for rule in rules.forbidden:
            if set(names_in(rule)) & set(names):
                self._add(rule, places, None)
        self._told = [[at for at, each in enumerate(self._rules) if place in each.names] for place in range(len(names))]
        self._known: dict[tuple[int, Said, Said], tuple[int, int]] = {}
        self._looks = 0

    def _add(self, rule: Rule, places: Mapping[str, int], owner: int | None) -> None:
        spoken = frozenset(places[name] for name in names_in(rule))
        until = max(spoken, default=-1) if owner is None else owner
        self._rules.append(_Open(rule, spoken, until, owner is None))

    def points(self) -> int:
        """How many there are.

        Raises:
            Uncounted: it takes too long to tell, or to walk through them.
            _Endless: they have no end.
        """
        found, looks = self._after(0, {}, (), (0,) * len(self._rules))
        if looks > MOST_LOOKS and found <= FEW:
            # The walk would go past many more combinations that are none.
            raise Uncounted
        return found

    def _after(self, place: int, point: dict[str, Value], picks: Said, said: Said) -> tuple[int, int]:
        """How many points follow a beginning, and how many looks a walk through them takes.

        Args:
            picks: the cell of each parameter so far, -1 of those that are not active.
        """
        if place == len(self._names):
            return 1, 1
        said = tuple(0 if place > rule.until else holds for rule, holds in zip(self._rules, said, strict=True))
        key = place, said, self._seen(place, picks, said)
        if key not in self._known:
            condition = self._condition.get(place)
            if condition is not None and said[condition] != 1:
                found, looks = self._after(place + 1, point, (*picks, -1), said)
                self._known[key] = found, looks + 1
            else:
                self._known[key] = self._over(place, point, picks, said)
        return self._known[key]

    def _seen(self, place: int, picks: Said, said: Said) -> Said:
        """What the beginning is known by: the cells that open rules speak of."""
        still: set[int] = set()
        for rule, holds in zip(self._rules, said, strict=True):
            if holds == 0 and rule.until >= place:
                still |= rule.names
        return tuple(picks[each] if each in still else -2 for each in range(place))

    def _over(self, place: int, point: dict[str, Value], picks: Said, said: Said) -> tuple[int, int]:
        """`_after` over all cells of the parameter at a place."""
        found, looks = 0, 1
        for pick, cell in enumerate(self._cells[place]):
            self._looks += 1
            if self._looks > MOST_LOOKS:
                raise Uncounted
            point[self._names[place]] = cell.value
            now = self._judged(place, point, said)
            points, looked = (0, 1) if now is None else self._after(place + 1, point, (*picks, pick), now)
            if points and cell.count is None:
                raise _Endless
            found += points * (cell.count or 0)
            looks += looked * cell.looks
        del point[self._names[place]]
        return found, looks

    def _judged(self, place: int, point: dict[str, Value], said: Said) -> Said | None:
        """What the rules say with the value at a place; None when one forbids it."""
        now = list(said)
        for at in self._told[place]:
            if now[at] == 0:
                now[at] = truth(self._rules[at].rule, point)
                if now[at] == 1 and self._rules[at].forbids:
                    return None
        return tuple(now)
