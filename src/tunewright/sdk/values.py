"""Between native values and the wire's strings: hyperparameters, ranges, and tuned values with their types."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tunewright.core.coercion import normalised
from tunewright.core.errors import Invalid, Problem
from tunewright.core.parameters import decode_json, plain
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Space,
    Value,
    decode_value,
    encode_value,
    format_number,
)
from tunewright.sdk.shapes import Shape

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def encode_hyperparameter(value: object) -> str:
    """A native value as a hyperparameter string: scalars as `encode_value`, everything else as JSON.

    Raises:
        ValueError: the value is not JSON.
    """
    value = plain(value)
    if isinstance(value, str | int | float | bool):
        return encode_value(value)
    try:
        return json.dumps(value, allow_nan=False, default=_refuse)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} is neither text, a number, a boolean nor JSON ({error})") from None


def decode_hyperparameter(text: str) -> Any:
    """The native value in a hyperparameter string: what JSON makes of it, else the text itself."""
    found = decode_json(text)
    return found if isinstance(found, list | dict) or found is None else decode_value(text)


def encode_hyperparameters(values: Mapping[str, object]) -> dict[str, str]:
    """Every hyperparameter as a string. Raises Invalid with all that cannot be said."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        try:
            texts[str(name)] = encode_hyperparameter(value)
        except ValueError as error:
            problems.append(Problem(f"hyperparameters.{name}", f"{error}; pass one of these."))
    if problems:
        raise Invalid(problems)
    return texts


def space_of(ranges: Mapping[str, object]) -> Space:
    """The space of a tuner's ranges. Raises Invalid with all that are not ranges."""
    parameters: dict[str, Parameter] = {}
    problems: list[Problem] = []
    for name, parameter in ranges.items():
        try:
            parameters[str(name)] = normalised(str(name), parameter)
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(problems)
    return Space(parameters)


def ranges_shape(space: Space) -> Shape:
    """AMT's ParameterRanges; all three lists are present, and categories keep their types as JSON."""
    shape: Shape = {"ContinuousParameterRanges": [], "CategoricalParameterRanges": [], "IntegerParameterRanges": []}
    for name, parameter in space.parameters.items():
        match parameter:
            case CategoricalParameter():
                values = [encode_value(value) for value in parameter.values]
                shape["CategoricalParameterRanges"].append({"Name": name, "Values": values})
            case IntegerParameter() | ContinuousParameter():
                kind = "Integer" if isinstance(parameter, IntegerParameter) else "Continuous"
                shape[f"{kind}ParameterRanges"].append(
                    {
                        "Name": name,
                        "MinValue": _bound(parameter, parameter.min_value),
                        "MaxValue": _bound(parameter, parameter.max_value),
                        "ScalingType": str(parameter.scaling_type),
                    }
                )
    return shape


def ranges_from(shape: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of AMT's ParameterRanges, scaling types kept, categories with their types where JSON has them."""
    parameters: dict[str, Parameter] = {}
    for each in shape.get("ContinuousParameterRanges", []):
        bounds = float(each["MinValue"]), float(each["MaxValue"])
        parameters[each["Name"]] = ContinuousParameter(*bounds, each.get("ScalingType", "Auto"))
    for each in shape.get("IntegerParameterRanges", []):
        low, high = int(float(each["MinValue"])), int(float(each["MaxValue"]))
        parameters[each["Name"]] = IntegerParameter(low, high, each.get("ScalingType", "Auto"))
    for each in shape.get("CategoricalParameterRanges", []):
        parameters[each["Name"]] = CategoricalParameter([decode_value(value) for value in each["Values"]])
    return parameters


def native(parameter: Parameter | None, text: str) -> Value:
    """A tuned value with its type: int for integers, float for continuous ones, the listed value for categories."""
    if parameter is None:
        return decode_value(text)
    if isinstance(parameter, CategoricalParameter):
        # As it was sent comes first: the text `true` beside the boolean is not the boolean.
        for way in (encode_value, parameter.text):
            for value in parameter.values:
                if text == way(value):
                    return value
        return decode_value(text)
    try:
        return parameter.cast(text)
    except ValueError:
        return decode_value(text)


def natives(ranges: Mapping[str, Parameter], texts: Mapping[str, str]) -> dict[str, Value]:
    """Every tuned value with its type, in the order of the ranges."""
    order = [name for name in ranges if name in texts] + [name for name in texts if name not in ranges]
    return {name: native(ranges.get(name), texts[name]) for name in order}


def visible(text: str) -> str:
    """Text for a terminal: what would move its cursor or set its title is shown as an escape, lines and tabs stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def short(value: object) -> str:
    """A value for people: six significant digits, text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return visible(str(value))
    return str(value) if isinstance(value, int) else format(value, ".6g")


def short_text(text: str) -> str:
    """A hyperparameter string for people."""
    return short(decode_value(text))


def _bound(parameter: ContinuousParameter | IntegerParameter, value: float) -> str:
    whole = isinstance(parameter, IntegerParameter) and math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else format_number(value)


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")
