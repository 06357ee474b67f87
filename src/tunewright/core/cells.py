"""Counting the points that rules leave, and finding one.

Between the numbers that its rules compare it with, a parameter's values are alike. So each parameter is cut into
cells, and what the rules say is looked at once for each combination of cells. Parameters that no rule connects
multiply. Two parameters compared with one another are looked at value by value where they are few.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunewright.core.conditions import Literal, comparisons, names_in, number_of, truth
from tunewright.core.parameters import CategoricalParameter, Parameter, Value
from tunewright.core.rules import Rules

MOST_LOOKS = 300_000
"""Combinations of cells looked at before the count is given up."""

MOST_VALUES = 512
"""Values of a parameter that are looked at one by one when it is compared with another one."""


class Uncounted(Exception):
    """There are too many combinations to look at."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Values that are alike to the rules; `count` is None when they are too many to count."""

    value: Value
    count: int | None


Shuffle: TypeAlias = Callable[[list[Cell]], list[Cell]]


def count(parameters: Mapping[str, Parameter], rules: Rules) -> int | None:
    """How many points there are; None when they are infinite, or too many to tell."""
    total: int | None = 1
    try:
        for names in _groups(parameters, rules):
            part = _sum(_search(parameters, rules, names, ({}, ()), None))
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
        point.update(found[0])
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


Found: TypeAlias = tuple[dict[str, Value], int | None]


def _sum(found: Iterator[Found]) -> int | None:
    total = 0
    for _, weight in found:
        if weight is None:
            # The others are looked at no more: nothing makes an endless number smaller.
            return None
        total += weight
    return total


def _search(
    parameters: Mapping[str, Parameter],
    rules: Rules,
    names: Sequence[str],
    wanted: tuple[Mapping[str, Value], Collection[str]],
    shuffle: Shuffle | None,
) -> Iterator[Found]:
    """Every allowed combination of cells of a group, with the number of its points; `wanted` as in `find`."""
    fixed, needed = wanted
    mine = [rule for rule in rules.forbidden if set(names_in(rule)) & set(names)]
    cells = {
        name: [Cell(fixed[name], 1)] if name in fixed else _cells(name, parameters[name], parameters, rules)
        for name in names
    }
    looks = 0

    def descend(place: int, point: dict[str, Value], weight: int | None) -> Iterator[Found]:
        nonlocal looks
        looks += 1
        if looks > MOST_LOOKS:
            raise Uncounted
        if any(truth(rule, point) == 1 for rule in mine):
            return
        if place == len(names):
            yield dict(point), weight
            return
        name = names[place]
        condition = rules.conditions.get(name)
        if condition is not None and truth(condition, point) != 1:
            if name not in fixed and name not in needed:
                yield from descend(place + 1, point, weight)
            return
        for cell in shuffle(list(cells[name])) if shuffle else cells[name]:
            point[name] = cell.value
            more = None if weight is None or cell.count is None else weight * cell.count
            yield from descend(place + 1, point, more)
            del point[name]

    return descend(0, {}, 1)


def _cells(name: str, parameter: Parameter, parameters: Mapping[str, Parameter], rules: Rules) -> list[Cell]:
    if isinstance(parameter, CategoricalParameter):
        return [Cell(value, 1) for value in parameter.values]
    cuts, others = _compared(name, rules)
    lattice = parameter.lattice()
    size = None if lattice is None else lattice.size
    if others and lattice is not None and size is not None and size <= MOST_VALUES:
        return [Cell(lattice.value(index), 1) for index in range(size)]
    if others:
        cuts |= _together(name, parameters, rules)
    low, high = parameter.min_value, parameter.max_value
    inside = sorted(cut for cut in cuts if low <= cut <= high)
    found: list[Cell] = []
    for one, other in zip([None, *inside], [*inside, None], strict=True):
        if one is not None and parameter.contains(one):
            found.append(Cell(_native(parameter, one), 1))
        found += _between(parameter, one, other)
    return [Cell(cell.value, None) for cell in found] if others else found


def _compared(name: str, rules: Rules) -> tuple[set[float], set[str]]:
    """The numbers and the other parameters that a parameter is compared with."""
    cuts: set[float] = set()
    others: set[str] = set()
    for rule in rules.every():
        for one in comparisons(rule):
            if name not in one.names():
                continue
            others |= set(one.names()) - {name}
            for side in (one.left, one.right):
                if isinstance(side, Literal) and (number := number_of(side.value)) is not None:
                    cuts.add(number)
    return cuts, others


def _together(name: str, parameters: Mapping[str, Parameter], rules: Rules) -> set[float]:
    """The cuts and ends of all parameters that are compared with one another, and numbers in between."""
    known, waiting = {name}, [name]
    cuts: set[float] = set()
    while waiting:
        each = waiting.pop()
        mine, others = _compared(each, rules)
        cuts |= mine
        parameter = parameters[each]
        if isinstance(parameter, CategoricalParameter):
            cuts |= {number for value in parameter.values if (number := number_of(value)) is not None}
        else:
            cuts |= {parameter.min_value, parameter.max_value}
        waiting += sorted(others - known)
        known |= others
    ends = sorted(cuts)
    parts = len(known) + 1
    between = {
        low + (high - low) * part / parts
        for low, high in itertools.pairwise(ends)
        for part in range(1, parts)
        if math.isfinite(high - low)
    }
    parameter = parameters[name]
    if isinstance(parameter, CategoricalParameter):
        return cuts
    lattice = parameter.lattice()
    if lattice is not None:
        between = {float(lattice.value(lattice.nearest(number))) for number in between}
    return cuts | between


def _native(parameter: Parameter, number: float) -> Value:
    return parameter.cast(parameter.text(number))


def _between(parameter: Parameter, low: float | None, high: float | None) -> Iterator[Cell]:
    """The cell of the values strictly between two cuts, None standing for the end of the range."""
    assert not isinstance(parameter, CategoricalParameter)
    lattice = parameter.lattice()
    if lattice is not None:
        first = 0 if low is None else lattice.below(low) + (lattice.index(low) is not None)
        last = (lattice.size if high is None else lattice.below(high)) - 1
        if first <= last:
            yield Cell(lattice.value((first + last) // 2), last - first + 1)
        return
    least, most = (parameter.min_value if low is None else low), (parameter.max_value if high is None else high)
    middle = 0.5 * least + 0.5 * most
    if least < middle < most:
        yield Cell(float(middle), None)
    elif low is None and high is None:
        yield Cell(float(least), 1 if least == most else None)
