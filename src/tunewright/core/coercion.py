"""Ranges that people made of numpy's scalars and other kinds of numbers, with plain ones."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from tunewright.core.errors import Invalid
from tunewright.core.parameters import CategoricalParameter, Parameter, Value, decode_value, plain
from tunewright.core.space import KINDS, not_a_range


def normalised(name: str, parameter: object) -> Parameter:
    """A range with plain Python numbers, whatever numbers it was made of (text that reads as a number is one).

    Raises:
        Invalid: it is no parameter, or a bound is no number.
    """
    if not isinstance(parameter, KINDS):
        raise Invalid.one(name, not_a_range(parameter))
    if isinstance(parameter, CategoricalParameter):
        values = [plain(value) for value in parameter.values]
        if wrong := [value for value in values if not isinstance(value, Value)]:
            text = f"categories are text, numbers or booleans, got {wrong[0]!r}; list it as text."
            raise Invalid.one(name, text)
        return CategoricalParameter([value for value in values if isinstance(value, Value)])
    bounds = [_number(bound) for bound in (parameter.min_value, parameter.max_value)]
    for bound, given in zip(bounds, (parameter.min_value, parameter.max_value), strict=True):
        if bound is None:
            raise Invalid.one(name, f"bounds are numbers, got {given!r}; give the lowest and the highest value.")
    low, high = (bound for bound in bounds if bound is not None)
    step = _number(parameter.step)
    # A step that is no number is the range's own problem.
    return type(parameter)(low, high, str(parameter.scaling_type), parameter.step if step is None else step)


def _number(given: object) -> float | int | None:
    number = plain(given)
    if isinstance(number, str):
        number = decode_value(number)
    if isinstance(number, Decimal | Fraction):
        number = float(number)
    return None if isinstance(number, bool) or not isinstance(number, int | float) else number
