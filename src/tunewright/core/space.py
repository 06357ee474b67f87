"""What may vary: ranges, their scaling, and lossless casting between native values and the wire's strings.

A space maps names to parameters, in the order given. A point maps the same names to native values: float
for continuous parameters, int for integer ones, and whatever was listed for categorical ones (always `str`
when the space came over the wire).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from tunewright.core.errors import Invalid, Problem

Value: TypeAlias = str | int | float | bool
Point: TypeAlias = Mapping[str, Value]


class Scaling(StrEnum):
    """How a numeric range is spread before a strategy looks at it (AMT's names)."""

    AUTO = "Auto"
    LINEAR = "Linear"
    LOGARITHMIC = "Logarithmic"
    REVERSE_LOGARITHMIC = "ReverseLogarithmic"


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
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not strict JSON")


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Numeric:
    min_value: float
    max_value: float
    scaling_type: str = Scaling.AUTO

    def scaling(self) -> Scaling:
        """The scaling in force: Auto is logarithmic for positive ranges of two decades or more, else linear."""
        chosen = Scaling(self.scaling_type)
        if chosen is not Scaling.AUTO:
            return chosen
        wide = self.min_value > 0 and self.max_value / self.min_value >= 100
        return Scaling.LOGARITHMIC if wide else Scaling.LINEAR

    def _problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        lo, hi = self.min_value, self.max_value
        if not (math.isfinite(lo) and math.isfinite(hi)):
            yield Problem(name, f"bounds must be finite numbers, got {lo} and {hi}.")
            return
        if lo > hi:
            yield Problem(name, f"MinValue {lo} is greater than MaxValue {hi}; swap them.")
        elif lo == hi and strict:
            yield Problem(name, f"the range holds the single value {lo}; make it a static hyperparameter.", True)
        if self.scaling_type not in set(Scaling):
            yield Problem(name, f"scaling type {self.scaling_type!r} is not one of {', '.join(Scaling)}.")
        elif self.scaling_type == Scaling.LOGARITHMIC and lo <= 0:
            yield Problem(
                name,
                f"Logarithmic needs MinValue > 0, got {lo}. Use a small positive number such as 1e-6, or Linear.",
            )


@dataclass(frozen=True, slots=True)
class ContinuousParameter(_Numeric):
    """A real number between `min_value` and `max_value`.

    Args:
        min_value: lower bound, inclusive.
        max_value: upper bound, inclusive.
        scaling_type: Auto, Linear, Logarithmic (needs min_value > 0) or ReverseLogarithmic (0 <= x < 1).
    """

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
        return not isinstance(value, str | bool) and self.min_value <= value <= self.max_value


@dataclass(frozen=True, slots=True)
class IntegerParameter(_Numeric):
    """A whole number between `min_value` and `max_value`, both inclusive.

    Args:
        min_value: lower bound.
        max_value: upper bound.
        scaling_type: Auto, Linear or Logarithmic (needs min_value > 0).
    """

    def problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        yield from self._problems(name, strict=strict)
        for bound in (self.min_value, self.max_value):
            if math.isfinite(bound) and bound != int(bound):
                yield Problem(name, f"an integer range needs whole bounds, got {bound}; use a continuous range.")
        if self.scaling_type == Scaling.REVERSE_LOGARITHMIC:
            yield Problem(name, "ReverseLogarithmic is for continuous ranges only; use Linear or Logarithmic.")

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
        if isinstance(value, str | bool) or value != int(value):
            return False
        return self.min_value <= value <= self.max_value


@dataclass(frozen=True, slots=True, init=False)
class CategoricalParameter:
    """One of a list of values, which may be text, numbers or booleans and come back with their types.

    Args:
        values: the values in a stable order; a single value is taken as a list of one.
    """

    values: tuple[Value, ...]

    def __init__(self, values: Sequence[Value] | Value) -> None:
        listed = [values] if isinstance(values, str | int | float | bool) else list(values)
        object.__setattr__(self, "values", tuple(listed))

    def problems(self, name: str, *, strict: bool) -> Iterator[Problem]:
        if not self.values:
            yield Problem(name, "a categorical range needs at least one value.")
        texts = [self.text(value) for value in self.values]
        repeated = sorted({text for text in texts if texts.count(text) > 1})
        if repeated:
            yield Problem(name, f"values are listed more than once: {', '.join(repeated)}; list each once.")
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


@dataclass(frozen=True, slots=True)
class Space:
    """Named parameters in a stable order."""

    parameters: Mapping[str, Parameter]

    def __len__(self) -> int:
        return len(self.parameters)

    def problems(self, *, strict: bool) -> list[Problem]:
        """All that is wrong with the ranges; limits on counts and lengths are the caller's table."""
        return [p for name, parameter in self.parameters.items() for p in parameter.problems(name, strict=strict)]

    def check(self, *, strict: bool = False) -> None:
        """Raise Invalid with every problem, or return."""
        problems = self.problems(strict=strict)
        if problems:
            raise Invalid(problems)

    def size(self) -> int | None:
        """The number of distinct points, or None when a continuous range makes it infinite."""
        total = 1
        for parameter in self.parameters.values():
            if isinstance(parameter, CategoricalParameter):
                total *= len(parameter.values)
            elif isinstance(parameter, IntegerParameter):
                total *= int(parameter.max_value) - int(parameter.min_value) + 1
            elif parameter.min_value != parameter.max_value:
                return None
        return total

    def contains(self, point: Point) -> bool:
        if set(point) != set(self.parameters):
            return False
        return all(parameter.contains(point[name]) for name, parameter in self.parameters.items())

    def cast(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Native values from the wire's strings.

        Raises:
            Invalid: a name is missing, unknown, or its text is not a value of its kind (bounds are not checked).
        """
        problems = [Problem(name, "is not a parameter of this space.") for name in texts if name not in self.parameters]
        point: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            try:
                point[name] = parameter.cast(texts[name])
            except KeyError:
                problems.append(Problem(name, "has no value."))
            except ValueError as error:
                problems.append(Problem(name, f"{error}."))
        if problems:
            raise Invalid(problems)
        return point

    def texts(self, point: Point) -> dict[str, str]:
        """The wire's strings for a point; `cast` gives the same point back."""
        return {name: parameter.text(point[name]) for name, parameter in self.parameters.items()}
