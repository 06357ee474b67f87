"""The small language of conditions: `optimizer == 'adam' and lr > 0.1`.

    rule     := part {"or" part};  part := term {"and" term};  term := "not" term | "(" rule ")" | comparison
    comparison := operand op operand {op operand}  |  operand ["not"] "in" "[" operand {"," operand} "]"
    op       := "==" | "=" | "!=" | "<" | "<=" | ">" | ">="

An operand is a parameter's name (in backquotes when it is no plain word), a number, true or false, or text in
quotes; a plain word that is no parameter's name is text too. Only numbers are ordered. The text "3" and the
number 3 are the same here, since the wire knows text alone.

Truth has three values: 1 holds, -1 does not, 0 unknown: what is said of a parameter without a value. `and` is
the least, `or` the greatest, `not` the opposite (Kleene 1952, sec. 64). Nothing is ever evaluated as Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Protocol, Self, TypeAlias, TypeVar

from tunewright.core.parameters import Point, Value, decode_value


class Opposable(Protocol):
    """What has an opposite of its own kind: a number, an array of numbers."""

    def __neg__(self) -> Self: ...


T = TypeVar("T", bound=Opposable)

LONGEST = 4000
"""Characters of one rule."""
DEEPEST = 40
"""Brackets and negations within one another."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.]))"
    r"|(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|`(?P<name>[^`]+)`"
    r"|(?P<word>[^\W\d][\w.\-]*)"
    r"|(?P<sign>==|!=|<=|>=|[=<>()\[\],]))"
)
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
COMPARISONS = ("==", "!=", *_ORDERS)


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; `word` when it was written without quotes, and might have been meant as a name."""

    value: Value
    word: bool = False


Operand: TypeAlias = Name | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison, of which at least one side is a parameter once it was checked."""

    left: Operand
    op: str
    right: Operand

    def names(self) -> tuple[str, ...]:
        """The parameters that are compared."""
        return tuple(side.name for side in (self.left, self.right) if isinstance(side, Name))


@dataclass(frozen=True, slots=True)
class Not:
    """Holds when its part does not."""

    part: Rule


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds when every part does."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds when one of the parts does."""

    parts: tuple[Rule, ...]


Rule: TypeAlias = Compare | Not | AllOf | AnyOf


@lru_cache(maxsize=4096, typed=True)
def meaning(value: Value) -> bool | int | float | str:
    """What a value is compared as: text that reads as a number or as true or false is one."""
    while isinstance(value, str):
        decoded = value.lower() == "true" if value.lower() in ("true", "false") else decode_value(value)
        if decoded == value and isinstance(decoded, str):
            return decoded
        value = decoded
    return value


def number_of(value: Value) -> float | int | None:
    """The number that a value means, if any."""
    meant = meaning(value)
    return None if isinstance(meant, str | bool) else meant


def compare(left: Value, op: str, right: Value) -> bool:
    """Whether a comparison of two values holds; text is not ordered."""
    if op in ("==", "!="):
        one, other = meaning(left), meaning(right)
        same = one == other and isinstance(one, bool) == isinstance(other, bool)
        return same == (op == "==")
    low, high = number_of(left), number_of(right)
    return low is not None and high is not None and _ORDERS[op](low, high)


def fold(rule: Rule, leaf: Callable[[Compare], T], least: Callable[[T, T], T], most: Callable[[T, T], T]) -> T:
    """The truth of a rule from the truths of its comparisons, which are numbers or arrays of numbers."""
    match rule:
        case Compare():
            return leaf(rule)
        case Not():
            return -fold(rule.part, leaf, least, most)
        case AllOf():
            return reduce(least, [fold(part, leaf, least, most) for part in rule.parts])
        case AnyOf():
            return reduce(most, [fold(part, leaf, least, most) for part in rule.parts])


def truth(rule: Rule, point: Point) -> int:
    """1, 0 or -1; 0 where parameters without a value leave it open."""
    # What `fold` would find, without looking further than needed: points are counted by the hundred thousand.
    if isinstance(rule, Compare):
        return _truth_of(rule, point)
    if isinstance(rule, Not):
        return -truth(rule.part, point)
    end = -1 if isinstance(rule, AllOf) else 1
    found = -end
    for part in rule.parts:
        said = truth(part, point)
        if said == end:
            return end
        if said == 0:
            found = 0
    return found


def _truth_of(one: Compare, point: Point) -> int:
    lesser, greater = _side(one.left, point), _side(one.right, point)
    if lesser is None or greater is None:
        return 0
    return 1 if compare(lesser, one.op, greater) else -1


def _side(side: Name | Literal, point: Point) -> Value | None:
    return side.value if isinstance(side, Literal) else point.get(side.name)


def comparisons(rule: Rule) -> Iterator[Compare]:
    """Every comparison of a rule, from left to right."""
    match rule:
        case Compare():
            yield rule
        case Not():
            yield from comparisons(rule.part)
        case AllOf() | AnyOf():
            for part in rule.parts:
                yield from comparisons(part)


def names_in(rule: Rule) -> tuple[str, ...]:
    """The parameters that a rule speaks of, each once."""
    return tuple(dict.fromkeys(name for one in comparisons(rule) for name in one.names()))


@lru_cache(maxsize=4096)
def parse(text: str, names: tuple[str, ...]) -> Rule:
    """The rule in a text.

    Args:
        names: the parameters that there are.

    Raises:
        ValueError: it is not of the language; the message says where.
    """
    if len(text) > LONGEST:
        raise ValueError(f"has {len(text)} characters; at most {LONGEST} are read")
    parser = _Parser(text, names)
    rule = parser.any_of(0)
    if parser.token[0] != "end":
        raise parser.error("expected `and`, `or` or the end")
    return rule


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        self._text, self._names = text, frozenset(names)
        self._at = 0
        self.token: tuple[str, str] = ("end", "")
        self._start = 0
        self._next()

    def error(self, expected: str) -> ValueError:
        kind, text = self.token
        found = "the end" if kind == "end" else repr(text)
        return ValueError(f"{expected} at character {self._start + 1}, found {found}")

    def _next(self) -> None:
        rest = self._text[self._at :]
        self._start = self._at + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.token = ("end", "")
            return
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self.token = ("sign", self._text[self._start])
            raise self.error("expected a name, a value or a comparison")
        self._at = found.end()
        kind = str(found.lastgroup)
        self.token = (kind, found[kind])

    def _took(self, *words: str) -> bool:
        """Whether the token is one of these words or signs; then it is passed."""
        if self.token[0] in ("word", "sign") and self.token[1] in words:
            self._next()
            return True
        return False

    def any_of(self, depth: int) -> Rule:
        if depth > DEEPEST:
            raise ValueError(f"has more than {DEEPEST} brackets within one another")
        parts = [self._all_of(depth)]
        while self._took("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self, depth: int) -> Rule:
        parts = [self._term(depth)]
        while self._took("and"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _term(self, depth: int) -> Rule:
        if depth > DEEPEST:
            raise ValueError(f"has more than {DEEPEST} negations within one another")
        if self._took("not"):
            return Not(self._term(depth + 1))
        if self._took("("):
            inner = self.any_of(depth + 1)
            if not self._took(")"):
                raise self.error("expected `)`")
            return inner
        return self._comparison()

    def _comparison(self) -> Rule:
        left = self._operand()
        negated = self._took("not")
        if self._took("in"):
            options = self._options()
            among = AnyOf(tuple(Compare(left, "==", option) for option in options))
            return Not(among) if negated else among
        if negated:
            raise self.error("expected `in`")
        found: list[Rule] = []
        while self.token[0] == "sign" and self.token[1] in ("=", *COMPARISONS):
            op = "==" if self.token[1] == "=" else self.token[1]
            self._next()
            right = self._operand()
            found.append(Compare(left, op, right))
            left = right
        if not found:
            raise self.error("expected a comparison such as == or <")
        return found[0] if len(found) == 1 else AllOf(tuple(found))

    def _options(self) -> list[Operand]:
        if not self._took("["):
            raise self.error("expected `[`")
        options = [self._operand()]
        while self._took(","):
            options.append(self._operand())
        if not self._took("]"):
            raise self.error("expected `,` or `]`")
        return options

    def _operand(self) -> Operand:
        kind, text = self.token
        if kind in ("end", "sign") or (kind == "word" and text in ("and", "or", "not", "in")):
            raise self.error("expected a parameter or a value")
        self._next()
        match kind:
            case "number":
                return Literal(_number(text))
            case "quoted":
                return Literal(re.sub(r"\\(.)", r"\1", text[1:-1]))
            case "name":
                return Name(text)
        if text in self._names:
            return Name(text)
        return Literal(text.lower() == "true") if text.lower() in ("true", "false") else Literal(text, word=True)


def _number(text: str) -> float | int:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    whole = text.lstrip("+-").isdigit()
    return int(text) if whole else value
