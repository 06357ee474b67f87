"""Counting the points that rules leave, and finding one.

What the rules say is looked at once for each combination of cells (`core.cells`). Parameters that no rule connects
multiply. Within a group the parameters are given values in turn, and what follows is counted once for all
beginnings that the rules which are still open cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from tunewright.core.cells import Cell, alike, cells_of
from tunewright.core.conditions import Rule, comparisons, names_in, truth
from tunewright.core.parameters import Parameter, Value
from tunewright.core.remains import HOLDS, IDLE, NEVER, Remains
from tunewright.core.rules import Rules

MOST_WORK = 800_000
"""Comparisons looked at before a search or a count is given up."""

MOST_LINKED = 300
"""Parameters that rules connect with one another; more are neither searched nor counted."""

MOST_LOOKS = 300_000
"""Spaces with few points are counted while whoever walks through them looks at no more combinations than this."""

FEW = 1 << 15
"""Spaces with rules and no more points than this are walked through by those who know their number."""


class Uncounted(Exception):
    """There are too many combinations to look at."""


class Work:
    """What may be looked at before a search or a count is given up."""

    def __init__(self, most: int | None = None) -> None:
        self.left = MOST_WORK if most is None else most

    def spend(self, comparisons: int) -> None:
        """Raises Uncounted when it is too much."""
        self.left -= comparisons
        if self.left < 0:
            raise Uncounted


class _Endless(Exception):
    """There are points without end."""


Shuffle: TypeAlias = Callable[[list[Cell]], list[Cell]]
Open: TypeAlias = tuple[int, ...]
"""What is left of each rule of a group."""


def count(parameters: Mapping[str, Parameter], rules: Rules) -> int | None:
    """How many points there are; None when they are infinite, or too many to tell."""
    total: int | None = 1
    work = Work()
    try:
        for names in _groups(parameters, rules):
            try:
                part: int | None = _Tally(parameters, rules, names, work).points()
            except _Endless:
                part = None
            if part == 0:
                return 0
            total = None if total is None or part is None else total * part
    except Uncounted:
        return None
    return total


def _effort(rule: Rule) -> int:
    return sum(1 for _ in comparisons(rule))


def _groups(parameters: Mapping[str, Parameter], rules: Rules) -> list[list[str]]:
    """Names that rules connect, each group in the rules' order."""
    group = {name: {name} for name in parameters}
    linked = [{name, *names_in(rule)} for name, rule in rules.conditions.items()]
    for names in [*linked, *(set(names_in(rule)) for rule in rules.forbidden)]:
        together = set().union(*(group[name] for name in names)) if names else set()
        for name in together:
            group[name] = together
    order = {name: place for place, name in enumerate(rules.order)}
    done: set[str] = set()
    found = []
    for name in rules.order:
        if name not in done:
            found.append(sorted(group[name], key=order.__getitem__))
            done |= group[name]
    return found


class Finder:
    """Looks for allowed points of a space; all that it is asked may take so much work together.

    Args:
        most: comparisons that are looked at before it gives up; `MOST_WORK` when it is not told.
    """

    def __init__(self, parameters: Mapping[str, Parameter], rules: Rules, most: int | None = None) -> None:
        self._names = tuple(parameters)
        self._rules = rules
        self._groups = _groups(parameters, rules)
        self._cells = {name: cells_of(name, parameters, rules) for name in parameters}
        self._told: dict[str, list[Rule]] = {name: [] for name in parameters}
        for rule in rules.forbidden:
            for name in names_in(rule):
                self._told[name].append(rule)
        self._efforts = {name: sum(map(_effort, told)) for name, told in self._told.items()}
        self._work = Work(most)

    def find(
        self,
        fixed: Mapping[str, Value] | None = None,
        needed: Collection[str] = (),
        shuffle: Shuffle | None = None,
    ) -> dict[str, Value] | None:
        """An allowed point in which the `fixed` parameters have these values, or None.

        Args:
            needed: parameters that must be active, beside the fixed ones.
            shuffle: puts the choices for a parameter in an order; the first that works is taken.

        Raises:
            Uncounted: too much was looked at in vain.
        """
        point: dict[str, Value] = {}
        for names in self._groups:
            found = next(self._points(names, fixed or {}, needed, shuffle), None)
            if found is None:
                return None
            point.update(found)
        return {name: point[name] for name in self._names if name in point}

    def possible(self, fixed: Mapping[str, Value] | None = None, needed: Collection[str] = ()) -> bool:
        """Whether `find` would find something; yes where it cannot be told.

        Parameters that no rule connects with those named are not looked at again.
        """
        given = fixed or {}
        named = {*given, *needed}
        groups = [names for names in self._groups if not named or not named.isdisjoint(names)]
        try:
            return all(next(self._points(names, given, needed, None), None) is not None for names in groups)
        except Uncounted:
            return True

    def _points(
        self, names: Sequence[str], fixed: Mapping[str, Value], needed: Collection[str], shuffle: Shuffle | None
    ) -> Iterator[dict[str, Value]]:
        """Every allowed combination of cells of a group; the rest as in `find`."""
        if len(names) > MOST_LINKED:
            raise Uncounted
        conditions = self._rules.conditions
        due = [conditions[name] for name in names if name in conditions and (name in fixed or name in needed)]
        pains = 1 + sum(map(_effort, due))

        def descend(place: int, point: dict[str, Value]) -> Iterator[dict[str, Value]]:
            last = names[place - 1] if place else None
            # Only what speaks of the last value can have come to hold with it; what does not hold now never will.
            if last in point:
                self._work.spend(pains + self._efforts[last])
                if any(truth(rule, point) == 1 for rule in self._told[last]) or any(truth(r, point) == -1 for r in due):
                    return
            if place == len(names):
                yield dict(point)
                return
            name = names[place]
            condition = conditions.get(name)
            if condition is not None:
                self._work.spend(_effort(condition))
                if truth(condition, point) != 1:
                    if name not in fixed and name not in needed:
                        yield from descend(place + 1, point)
                    return
            cells = [Cell(fixed[name], 1)] if name in fixed else self._cells[name]
            for cell in shuffle(list(cells)) if shuffle else cells:
                point[name] = cell.value
                yield from descend(place + 1, point)
                del point[name]

        return descend(0, {})


class _Tally:
    """Counts the points of one group of parameters."""

    def __init__(self, parameters: Mapping[str, Parameter], rules: Rules, names: Sequence[str], work: Work) -> None:
        if len(names) > MOST_LINKED:
            raise Uncounted
        self._cells = [alike(name, parameters, rules) for name in names]
        self._remains = Remains(names, self._cells, work.spend)
        self._work = work
        conditions = [name for name in names if name in rules.conditions]
        places = {name: place for place, name in enumerate(names)}
        forbidden = [rule for rule in rules.forbidden if not places.keys().isdisjoint(names_in(rule))]
        said = [rules.conditions[name] for name in conditions] + forbidden
        self._first = tuple([self._remains.read(rule) for rule in said])
        self._owned = {places[name]: at for at, name in enumerate(conditions)}
        self._forbids = [at >= len(conditions) for at in range(len(said))]
        self._told: list[list[int]] = [[] for _ in names]
        for at, rule in enumerate(said):
            for name in names_in(rule):
                self._told[places[name]].append(at)
        self._known: dict[tuple[int, Open], tuple[int, int]] = {}

    def points(self) -> int:
        """How many there are.

        Raises:
            Uncounted: it takes too long to tell, or to walk through them.
            _Endless: they have no end.
        """
        found, looks = self._after(0, self._first)
        if looks > MOST_LOOKS and found <= FEW:
            # The walk would go past many more combinations that are none.
            raise Uncounted
        return found

    def _after(self, place: int, rules: Open) -> tuple[int, int]:
        """How many points follow a beginning that leaves these rules, and how many looks a walk through them takes."""
        if place == len(self._cells):
            return 1, 1
        key = place, rules
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._over(place, rules)
        return found

    def _over(self, place: int, rules: Open) -> tuple[int, int]:
        """`_after` over all cells of the parameter at a place, or over none where it is not active."""
        owned = self._owned.get(place)
        if owned is not None:
            active = rules[owned] == HOLDS
            rules = (*rules[:owned], NEVER, *rules[owned + 1 :])  # it has nothing more to say
            if not active:
                left = self._left(place, rules, IDLE)
                assert left is not None, "what forbids does not come to hold by a parameter that is not active"
                found, looks = self._after(place + 1, left)
                return found, looks + 1
        found, looks = 0, 1
        for pick, cell in enumerate(self._cells[place]):
            left = self._left(place, rules, pick)
            points, looked = (0, 1) if left is None else self._after(place + 1, left)
            if points and cell.count is None:
                raise _Endless
            found += points * (cell.count or 0)
            looks += looked * cell.looks
        return found, looks

    def _left(self, place: int, rules: Open, pick: int) -> Open | None:
        """What the rules leave to say; None when one forbids the cell."""
        told = self._told[place]
        self._work.spend(1 + len(told) + len(rules) // 16)
        now = list(rules)
        for at in told:
            now[at] = self._remains.after(now[at], place, pick)
            if now[at] == HOLDS and self._forbids[at]:
                return None
        return tuple(now)
