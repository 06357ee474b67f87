"""Which parameters of a point are active, and which points are forbidden.

A parameter with a condition is active when the condition holds; what an inactive parameter would have said is
unknown, so that a condition on it does not hold either. A point has values for its active parameters alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tunewright.core.conditions import (
    Compare,
    Literal,
    Name,
    Rule,
    compare,
    comparisons,
    names_in,
    number_of,
    parse,
    truth,
)
from tunewright.core.errors import Problem
from tunewright.core.parameters import CategoricalParameter, Parameter, Point, Value
from tunewright.core.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a space, read.

    Args:
        order: all names, each after those that its condition speaks of, else in the order of the space.
        conditions: of the parameters that have one.
    """

    order: tuple[str, ...]
    conditions: Mapping[str, Rule]
    forbidden: tuple[Rule, ...]

    @property
    def none(self) -> bool:
        """Whether every parameter is always active and nothing is forbidden."""
        return not self.conditions and not self.forbidden

    def every(self) -> list[Rule]:
        return [*self.conditions.values(), *self.forbidden]

    def active(self, point: Point) -> set[str]:
        """The names that are active by the values of a point; names without a value count as unknown."""
        seen: dict[str, Value] = {}
        found: set[str] = set()
        for name in self.order:
            rule = self.conditions.get(name)
            if rule is None or truth(rule, seen) == 1:
                found.add(name)
                if name in point:
                    seen[name] = point[name]
        return found

    def consistent(self, point: Point) -> bool:
        """Whether a point has values for exactly its active parameters, and is not forbidden."""
        return set(point) == self.active(point) and self.allows(point)

    def allows(self, point: Point) -> bool:
        return self.broken(point) is None

    def broken(self, point: Point) -> int | None:
        """The index of the first rule that forbids a point."""
        return next((place for place, rule in enumerate(self.forbidden) if truth(rule, point) == 1), None)


@lru_cache(maxsize=512)
def compiled(names: tuple[str, ...], conditions: tuple[tuple[str, str], ...], forbidden: tuple[str, ...]) -> Rules:
    """The rules in their texts.

    Raises:
        ValueError: a text cannot be read, or conditions go round in a circle.
    """
    read = {name: parse(text, names) for name, text in conditions}
    order, left = _in_order(names, read)
    if left:
        raise ValueError(f"the conditions of {', '.join(left)} go round in a circle")
    return Rules(tuple(order), read, tuple(parse(text, names) for text in forbidden))


def _in_order(names: Iterable[str], conditions: Mapping[str, Rule]) -> tuple[list[str], list[str]]:
    """Names, each after those that its condition speaks of, else as they come; and those that wait for ever."""
    needs = {name: names_in(rule) for name, rule in conditions.items()}
    order: list[str] = []
    left = dict.fromkeys(names)
    while ready := [*itertools.islice((name for name in left if left.keys().isdisjoint(needs.get(name, ()))), 1)]:
        order += ready
        del left[ready[0]]
    return order, list(left)


def rule_problems(
    parameters: Mapping[str, Parameter], conditions: Mapping[str, str], forbidden: Sequence[str]
) -> list[Problem]:
    """All that is wrong with the texts of rules; whether any point is left is another question."""
    problems: list[Problem] = []
    read: dict[str, Rule] = {}
    for name, text in conditions.items():
        path = f"conditions.{name}"
        if name not in parameters:
            problems.append(Problem(path, f"{name!r} is not a tuned parameter.{did_you_mean(name, parameters)}"))
        rule, wrong = _read(path, text, parameters)
        problems += wrong
        if rule is not None and name in parameters:
            read[name] = rule
    for place, text in enumerate(forbidden):
        problems += _read(f"forbidden[{place}]", text, parameters)[1]
    return problems + list(_circles(read))


def _read(path: str, text: object, parameters: Mapping[str, Parameter]) -> tuple[Rule | None, list[Problem]]:
    if not isinstance(text, str) or not text.strip():
        return None, [Problem(path, f"must be a condition such as \"optimizer == 'adam'\", got {text!r}.")]
    try:
        rule = parse(text, tuple(parameters))
    except ValueError as error:
        return None, [Problem(path, f"{text!r}: {error}.")]
    return rule, [Problem(path, f"{text!r}: {told}") for one in comparisons(rule) for told in _wrong(one, parameters)]


def _wrong(one: Compare, parameters: Mapping[str, Parameter]) -> Iterator[str]:
    unknown = [name for name in one.names() if name not in parameters]
    if unknown:
        yield f"{unknown[0]!r} is not a tuned parameter.{did_you_mean(unknown[0], parameters)}"
        return
    if not one.names():
        words = [side.value for side in (one.left, one.right) if isinstance(side, Literal) and side.word]
        hint = did_you_mean(str(words[0]), parameters) if words else ""
        shown = f"{words[0]!r} is not" if words else "neither side is"
        yield f"{shown} a tuned parameter.{hint or f' Tuned are {_listed(parameters)}.'}"
        return
    if one.op not in ("==", "!="):
        for side in (one.left, one.right):
            if not _ordered(side, parameters):
                yield f"{one.op} compares numbers, {_shown(side)} is not one; use == or in."
        return
    for side, other in ((one.left, one.right), (one.right, one.left)):
        if isinstance(side, Name) and isinstance(other, Literal):
            yield from _impossible(side.name, parameters[side.name], other)


def _ordered(side: Name | Literal, parameters: Mapping[str, Parameter]) -> bool:
    if isinstance(side, Literal):
        return number_of(side.value) is not None
    parameter = parameters[side.name]
    return not isinstance(parameter, CategoricalParameter) or all(number_of(v) is not None for v in parameter.values)


def _impossible(name: str, parameter: Parameter, literal: Literal) -> Iterator[str]:
    """A value that the parameter never has."""
    value = literal.value
    if isinstance(parameter, CategoricalParameter):
        if not any(compare(value, "==", listed) for listed in parameter.values):
            texts = [str(listed) for listed in parameter.values]
            known = ", ".join(texts)
            yield f"{value!r} is none of the values of {name!r}, which are {known}.{did_you_mean(str(value), texts)}"
        return
    number = number_of(value)
    if number is None:
        yield f"{name!r} is a number, which {value!r} is not."
    elif not parameter.contains(number):
        yield f"{name!r} never is {number!r}: it lies outside of the range, or between its steps."


def _circles(conditions: Mapping[str, Rule]) -> Iterator[Problem]:
    """Parameters whose being active hangs on themselves."""
    for name in _in_order(conditions, conditions)[1]:
        seen: list[str] = [name]
        trail = _way_back(name, name, conditions, seen)
        if trail:
            yield Problem(
                f"conditions.{name}",
                f"goes round in a circle ({' -> '.join(trail)}); a parameter must not depend on itself.",
            )


def _way_back(start: str, at: str, conditions: Mapping[str, Rule], seen: list[str]) -> list[str]:
    for name in names_in(conditions[at]):
        if name == start:
            return [start, start] if at == start else [at, start]
        if name in conditions and name not in seen:
            seen.append(name)
            rest = _way_back(start, name, conditions, seen)
            if rest:
                return [at, *rest] if rest[0] != at else rest
    return []


def _shown(side: Name | Literal) -> str:
    return repr(side.name if isinstance(side, Name) else side.value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:20])
