"""One thing that may vary: its range, its scaling, and lossless casting from and to the wire's strings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from tunewright.core.errors import Problem
from tunewright.core.lattice import Lattice, exact, lattice_of

_EXACT = 2**50
"""Whole numbers up to this are floats, and what is reckoned with them is right to a quarter."""

Value: TypeAlias = str | int | float | bool
Point: TypeAlias = Mapping[str, Value]


class Scaling(StrEnum):
    """How a numeric range is spread before a strategy looks at it (AMT's names)."""

    AUTO = "Auto"
    LINEAR = "Linear"
    LOGARITHMIC = "Logarithmic"
    REVERSE_LOGARITHMIC = "ReverseLogarithmic"


def plain(value: object) -> object:
    """A numpy scalar as the Python value that it stands for; everything else as it is."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


def format_number(value: float | int) -> str:
    """The shortest text that reads back as the same number; integers without decimals."""
    return repr(value) if isinstance(value, int) else repr(float(value))


def encode_value(value: Value) -> str:
    """A native value as a hyperparameter string that `decode_value` gives back with its type.

    Text stays as it is unless it would be read back as something else ("1", "true"); then it is quoted as JSON.
    """
    if isinstance(value, str):
        return value if decode_value(value) == value and not _is_json(value) else json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_number(value)


def decode_value(text: str) -> Value:
    """The native value in a hyperparameter string: JSON where it is JSON of a scalar, else the text itself."""
    value = decode_json(text)
    return value if isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value)) else text


def decode_json(text: str) -> Any:
    """What JSON makes of a hyperparameter string, lists and tables too; the text itself where it is no strict JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not strict JSON")


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def shown(value: object, most: int = 40) -> str:
    """The beginning of a value's text, of numbers that Python refuses to write out too."""
    try:
        return format(repr(value), f".{most}")
    except ValueError:
        return "a number of thousands of digits"


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _is_step(step: object) -> bool:
    return isinstance(step, int | float) and not isinstance(step, bool) and math.isfinite(step) and step > 0


@dataclass(frozen=True, slots=True)
class _Numeric:
    _LEAST: ClassVar[str] = "a small positive number such as 1e-6"

    min_value: float
    max_value: float
    scaling_type: str = Scaling.AUTO
    step: float | None = None

    def scaling(self) -> Scaling:
        """The scaling in force: Auto is logarithmic for positive ranges of two decades or more, else linear."""
        chosen = Scaling(self.scaling_type)
        if chosen is not Scaling.AUTO:
            return chosen
        wide = self.min_value > 0 and exact(self.max_value) >= 100 * exact(self.min_value)
        return Scaling.LOGARITHMIC if wide else Scaling.LINEAR

    def _problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        lo, hi = self.min_value, self.max_value
        if not (_is_finite(lo) and _is_finite(hi)):
            yield Problem(name, f"bounds must be finite numbers below 1.8e308, got {shown(lo)} and {shown(hi)}.")
            return
        if lo < hi and not 0.5 * hi - 0.5 * lo > 0:
            yield Problem(name, f"the range from {lo} to {hi} is too narrow for numbers to lie in it; widen it.")
        if lo > hi:
            yield Problem(name, f"MinValue {lo} is greater than MaxValue {hi}; swap them.")
        elif lo == hi and strict:
            yield Problem(name, f"the range holds the single value {lo}; make it a static hyperparameter.", True)
        if self.scaling_type not in set(Scaling):
            yield Problem(name, f"scaling type {self.scaling_type!r} is not one of {', '.join(Scaling)}.")
        elif self.scaling_type == Scaling.LOGARITHMIC and lo <= 0:
            yield Problem(
                name,
                f"Logarithmic needs MinValue > 0, got {lo}. Use {self._LEAST}, or Linear.",
            )
        if self.step is not None:
            yield from self._step_problems(name, self.step, strict=strict)

    def _step_problems(self, name: str, step: float, *, strict: bool) -> Iterator[Problem]:
        lo, hi = self.min_value, self.max_value
        if not _is_step(step):
            yield Problem(name, f"its step must be a number above 0, got {step!r}.")
        elif strict:
            yield Problem(name, f"has the step {step!r}, which AMT does not know; leave it out.", True)
        elif lo < hi and exact(step) > exact(hi) - exact(lo):
            yield Problem(
                name, f"the step {step!r} is larger than the range from {lo!r} to {hi!r}; make it smaller, or widen it."
            )


@dataclass(frozen=True, slots=True)
class ContinuousParameter(_Numeric):
    """A real number between `min_value` and `max_value`.

    Args:
        min_value: lower bound, inclusive.
        max_value: upper bound, inclusive.
        scaling_type: Auto, Linear, Logarithmic (needs min_value > 0) or ReverseLogarithmic (0 <= x < 1).
        step: only min_value, min_value + step, min_value + 2 step, ... (extended); None for all numbers.
    """

    def lattice(self) -> Lattice | None:
        """The values of a stepped or singleton range, None when all numbers in between belong to it."""
        if self.step is None and self.min_value != self.max_value:
            return None
        return lattice_of(float(self.min_value), float(self.max_value), float(self.step or 1.0), False)

    def problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        yield from self._problems(name, strict=strict)
        inside = self.min_value >= 0 and self.max_value < 1
        if self.scaling_type == Scaling.REVERSE_LOGARITHMIC and not inside:
            yield Problem(
                name,
                f"ReverseLogarithmic needs 0 <= MinValue and MaxValue < 1, got {self.min_value} and {self.max_value}."
                " Use Logarithmic or Linear, or a MaxValue such as 0.999.",
            )

    def cast(self, text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is not a finite number")
        return value

    def text(self, value: Value) -> str:
        return format_number(float(value))

    def contains(self, value: Value) -> bool:
        if isinstance(value, str | bool) or not self.min_value <= value <= self.max_value:
            return False
        lattice = self.lattice()
        return lattice is None or lattice.index(value) is not None


@dataclass(frozen=True, slots=True)
class IntegerParameter(_Numeric):
    """A whole number between `min_value` and `max_value`, both inclusive.

    Args:
        min_value: lower bound.
        max_value: upper bound.
        scaling_type: Auto, Linear or Logarithmic (needs min_value > 0).
        step: only every so manieth number from min_value on (extended); None for all.
    """

    _LEAST = "1 or more"

    def lattice(self) -> Lattice:
        """The values."""
        step = 1 if self.step is None else int(self.step)
        return lattice_of(int(self.min_value), int(self.max_value), step, True)

    def problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        yield from self._problems(name, strict=strict)
        for bound in (self.min_value, self.max_value):
            if _is_finite(bound) and bound != int(bound):
                yield Problem(name, f"an integer range needs whole bounds, got {bound}; use a continuous range.")
        if _is_finite(self.min_value) and _is_finite(self.max_value) and self._blurred():
            yield Problem(
                name,
                f"whole numbers around {shown(self.max_value)} are not told from their neighbours, being beyond 2**50;"
                " tune the distance from one of them, and add it in the training program.",
            )
        if self.scaling_type == Scaling.REVERSE_LOGARITHMIC:
            yield Problem(name, "ReverseLogarithmic is for continuous ranges only; use Linear or Logarithmic.")
        if _is_step(self.step) and self.step != int(self.step or 1):
            yield Problem(name, f"an integer range needs a whole step, got {self.step!r}; use a continuous range.")

    def _blurred(self) -> bool:
        """Whether it is a narrow range of numbers that are no floats; in a wide one neighbours are all the same."""
        far = max(abs(self.min_value), abs(self.max_value)) > _EXACT
        return far and 0 < exact(self.max_value) - exact(self.min_value) < _EXACT

    def cast(self, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            value = float(text)
            if not math.isfinite(value) or value != int(value):
                raise ValueError(f"{text!r} is not a whole number") from None
            return int(value)

    def text(self, value: Value) -> str:
        return str(int(value))

    def contains(self, value: Value) -> bool:
        if isinstance(value, str | bool) or not self.min_value <= value <= self.max_value:
            return False
        return value == int(value) and (self.step is None or self.lattice().index(value) is not None)


@dataclass(frozen=True, slots=True, init=False)
class CategoricalParameter:
    """One of a list of values, which may be text, numbers or booleans and come back with their types.

    Args:
        values: the values in a stable order; a single value is taken as a list of one, a set is put in order.
    """

    values: tuple[Value, ...]

    def __init__(self, values: Iterable[Value] | Value) -> None:
        listed = [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
        if isinstance(values, set | frozenset):
            # The order of a set of texts is another one in every process; a dictionary's keys have theirs.
            listed.sort(key=repr)
        object.__setattr__(self, "values", tuple(listed))

    def problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        if not self.values:
            yield Problem(name, "a categorical range needs at least one value.")
        texts = [self.text(value) for value in self.values]
        repeated = sorted({text for text in texts if texts.count(text) > 1})
        if repeated:
            yield Problem(name, f"values are listed more than once: {', '.join(repeated)}; list each once.")
        if endless := [value for value in self.values if isinstance(value, float) and not math.isfinite(value)]:
            yield Problem(name, f"{endless[0]!r} is no value that can be told from others; list it as text.")
        if len(self.values) == 1 and strict:
            yield Problem(name, f"the only value is {self.values[0]!r}; make it a static hyperparameter.", True)

    def cast(self, text: str) -> Value:
        for value in self.values:
            if self.text(value) == text or (isinstance(value, str) and value == text):
                return value
        raise ValueError(f"{text!r} is not one of {', '.join(map(self.text, self.values))}")

    def text(self, value: Value) -> str:
        return value if isinstance(value, str) else encode_value(value)

    def contains(self, value: Value) -> bool:
        return any(value == listed and type(value) is type(listed) for listed in self.values)


Parameter: TypeAlias = ContinuousParameter | IntegerParameter | CategoricalParameter
