"""The values of a parameter that its rules cannot tell apart.

Between the numbers that its rules compare it with, a parameter's values are alike: each parameter is cut into cells.
Two parameters compared with one another are looked at value by value where they are few.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunewright.core.conditions import Literal, comparisons, number_of, truth
from tunewright.core.parameters import CategoricalParameter, Parameter, Value
from tunewright.core.rules import Rules

MOST_VALUES = 512
"""Values of a parameter that are looked at one by one when it is compared with another one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Values that are alike to the rules.

    Args:
        value: one of them.
        count: how many there are; None when they are too many to count.
        looks: how often they are looked at where categories are told apart.
    """

    value: Value
    count: int | None
    looks: int = 1


def cells_of(name: str, parameters: Mapping[str, Parameter], rules: Rules) -> list[Cell]:
    """The cells of a parameter, each value of a categorical one alone."""
    parameter = parameters[name]
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


def alike(name: str, parameters: Mapping[str, Parameter], rules: Rules) -> list[Cell]:
    """The cells of a parameter, with the values of a categorical one together as far as no rule tells them apart."""
    found = cells_of(name, parameters, rules)
    mine = [one for rule in rules.every() for one in comparisons(rule) if name in one.names()]
    if not isinstance(parameters[name], CategoricalParameter) or any(len(set(one.names())) > 1 for one in mine):
        return found
    together: dict[tuple[int, ...], list[Cell]] = {}
    for cell in found:
        together.setdefault(tuple(truth(one, {name: cell.value}) for one in mine), []).append(cell)
    return [Cell(cells[0].value, len(cells), len(cells)) for cells in together.values()]


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
