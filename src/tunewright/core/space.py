"""What may vary: named parameters, the conditions under which they are there, and what is forbidden.

A space maps names to parameters, in the order given. A point maps names of active parameters (all of them, where
there are no conditions) to native values: float for continuous parameters, int for integer ones, and whatever was
listed for categorical ones (always `str` when the space came over the wire).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunewright.core import counting
from tunewright.core.errors import Invalid, Problem
from tunewright.core.parameters import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Point,
    Scaling,
    Value,
    decode_value,
    encode_value,
    format_number,
    plain,
)
from tunewright.core.rules import Rules, compiled, rule_problems
from tunewright.core.suggest import did_you_mean

__all__ = [
    "CategoricalParameter",
    "ContinuousParameter",
    "IntegerParameter",
    "Parameter",
    "Point",
    "Scaling",
    "Space",
    "Value",
    "decode_value",
    "encode_value",
    "format_number",
    "with_rules",
]


@dataclass(frozen=True, slots=True)
class Space:
    """Named parameters in a stable order, and rules between them.

    Args:
        conditions: name of a parameter to the condition (see `core.conditions`) under which it is active.
        forbidden: conditions that no point may meet.
    """

    parameters: Mapping[str, Parameter]
    conditions: Mapping[str, str] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def rules(self) -> Rules:
        """The conditions and the forbidden combinations, read; `problems` has found nothing wrong with them."""
        return compiled(tuple(self.parameters), tuple(self.conditions.items()), self.forbidden)

    def problems(self, *, strict: bool) -> list[Problem]:
        """All that is wrong with the ranges and the rules; limits on counts and lengths are the caller's table.

        A range's problem is named after its parameter, a rule's `conditions.NAME` or `forbidden[INDEX]`.
        """
        found = [p for name, parameter in self.parameters.items() for p in parameter.problems(name, strict=strict)]
        wrong = rule_problems(self.parameters, self.conditions, self.forbidden)
        return found + (wrong or ([] if found else self._reach()))

    def _reach(self) -> list[Problem]:
        """Rules that leave nothing, and parameters that are never active."""
        rules = self.rules
        if rules.none:
            return []
        finder = self.finder()
        if not finder.possible():
            text = "leaves nothing: every combination of values is forbidden; drop or loosen one of the rules."
            return [Problem("forbidden", text)]
        return [
            Problem(f"conditions.{name}", f"{self.conditions[name]!r} can never hold; correct it, or drop {name!r}.")
            for name in rules.conditions
            if not finder.possible(needed=(name,))
        ]

    def finder(self) -> counting.Finder:
        """Looks for allowed points; `problems` has found nothing wrong with the rules."""
        return counting.Finder(self.parameters, self.rules)

    def read_point(
        self, point: Mapping[str, object], finder: counting.Finder | None = None
    ) -> tuple[dict[str, Value], list[Problem]]:
        """A point that somebody wants tried, in native values; it may leave parameters out. And what is wrong with it.

        Problems are named after their parameter, or "" when they are the whole point's.

        Args:
            finder: this space's own, for those who read many points: what it may look at is for all of them.
        """
        values, found = self.read_values(point)
        if found or self.rules.none:
            return values, found
        return values, self._unlawful(values, finder or self.finder())

    def read_values(self, point: Mapping[str, object]) -> tuple[dict[str, Value], list[Problem]]:
        """`read_point` without a look at the rules."""
        values: dict[str, Value] = {}
        found: list[Problem] = []
        for name, value in point.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                found.append(Problem(name, f"is not a tuned parameter.{did_you_mean(name, self.parameters)}"))
            elif (native := _native(parameter, value)) is None:
                found.append(Problem(name, f"{value!r} is not among its values; {remedy(parameter)}."))
            else:
                values[name] = native
        return values, found

    def _unlawful(self, values: Point, finder: counting.Finder) -> list[Problem]:
        """The rules that a part of a point breaks, whatever the rest of it is."""
        found: list[Problem] = []
        if finder.possible(values):
            return found
        broken = self.rules.broken(values)
        if broken is not None:
            return [Problem("", f"is forbidden by {self.forbidden[broken]!r}; change a value.")]
        active = self.rules.active(values)
        idle = [name for name in values if name in self.conditions and name not in active]
        for name in idle:
            if not finder.possible({other: v for other, v in values.items() if other not in idle or other == name}):
                text = f"is not active here: its condition is {self.conditions[name]!r}; leave it out."
                found.append(Problem(name, text))
        return found or [Problem("", "cannot be completed: whatever the other values are, a rule forbids it.")]

    def size(self) -> int | None:
        """The number of distinct points, or None when they are infinite, or too many to count."""
        return counting.count(self.parameters, self.rules)

    def contains(self, point: Point) -> bool:
        if not set(point) <= set(self.parameters) or not self.rules.consistent(point):
            return False
        return all(self.parameters[name].contains(value) for name, value in point.items())

    def cast(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Native values from the wire's strings; only parameters with a condition may be missing.

        Raises:
            Invalid: a name is missing, unknown, or its text is not a value of its kind (bounds are not checked).
        """
        problems = [Problem(name, "is not a parameter of this space.") for name in texts if name not in self.parameters]
        point: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            try:
                point[name] = parameter.cast(texts[name])
            except KeyError:
                if name not in self.conditions:
                    problems.append(Problem(name, "has no value."))
            except ValueError as error:
                problems.append(Problem(name, f"{error}."))
        if problems:
            raise Invalid(problems)
        return point

    def texts(self, point: Point) -> dict[str, str]:
        """The wire's strings for a point; `cast` gives the same point back."""
        return {name: parameter.text(point[name]) for name, parameter in self.parameters.items() if name in point}


KINDS = (ContinuousParameter, IntegerParameter, CategoricalParameter)


def not_a_range(value: object) -> str:
    """What to say of something that stands where a parameter should."""
    ways = "ContinuousParameter(low, high), IntegerParameter(low, high) or CategoricalParameter([...])"
    return f"{value!r} is not a range. Use {ways}."


def with_rules(
    parameters: Mapping[str, Parameter],
    steps: Mapping[str, float] | None = None,
    conditions: Mapping[str, str] | None = None,
    forbidden: Sequence[str] = (),
) -> tuple[Space, list[Problem]]:
    """A space with the steps put into its ranges, and what is wrong with the steps' names.

    Problems are named `steps.NAME`; all others are the space's own `problems`.
    """
    stepped = dict(parameters)
    problems: list[Problem] = []
    for name, step in (steps or {}).items():
        parameter = parameters.get(name)
        if parameter is None:
            problems.append(
                Problem(f"steps.{name}", f"{name!r} is not a tuned parameter.{did_you_mean(name, parameters)}")
            )
        elif isinstance(parameter, CategoricalParameter):
            problems.append(Problem(f"steps.{name}", "is for numeric ranges; a categorical one lists its values."))
        else:
            stepped[name] = replace(parameter, step=step)
    return Space(stepped, dict(conditions or {}), tuple(forbidden)), problems


def _native(parameter: Parameter, value: object) -> Value | None:
    """The parameter's own value that is meant, or None when it has no such value."""
    value = plain(value)
    if not isinstance(value, Value):
        return None
    try:
        if isinstance(parameter, CategoricalParameter):
            return value if parameter.contains(value) else parameter.cast(encode_value(value))
        native = parameter.cast(value if isinstance(value, str) else encode_value(value))
        return native if parameter.contains(native) else None
    except (ValueError, OverflowError):
        return None


def remedy(parameter: Parameter) -> str:
    """What values a parameter has, in words."""
    if isinstance(parameter, CategoricalParameter):
        return f"give one of {', '.join(map(repr, parameter.values))}"
    ends = f"from {parameter.min_value!r} to {parameter.max_value!r}"
    kind = "a whole number " if isinstance(parameter, IntegerParameter) else "a number "
    return f"give {kind}{ends}" + (f" in steps of {parameter.step!r}" if parameter.step is not None else "")
