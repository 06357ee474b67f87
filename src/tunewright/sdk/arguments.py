"""Arguments of the Python face that are of the wrong kind, told by name, value, rule and remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, Protocol, TypeGuard

from tunewright.core.errors import Problem
from tunewright.sdk.configs import HyperbandStrategyConfig, StrategyConfig
from tunewright.sdk.errors import InvalidArguments
from tunewright.sdk.inputs import Inputs
from tunewright.sdk.shapes import Shape


def pairs(argument: str, given: object, keys: tuple[str, str]) -> list[Shape]:
    """A list of two-member tables as AMT wants it, from such a list or from a dictionary.

    Raises:
        InvalidArguments: it is neither, with every entry that is not of that form.
    """
    first, second = keys
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [{first: str(key), second: str(value)} for key, value in given.items()]
    form = f'a list of {{"{first}": ..., "{second}": ...}}, or a dictionary of {first} to {second}'
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidArguments.one(argument, f"{given!r} is not {form}.")
    entries = list(given)
    problems = [
        Problem(f"{argument}[{place}]", f"{each!r} does not have exactly {first} and {second}; give {form}.")
        for place, each in enumerate(entries)
        if not isinstance(each, Mapping) or set(each) != {first, second}
    ]
    if problems:
        raise InvalidArguments(problems)
    return [{first: str(each[first]), second: str(each[second])} for each in entries]


def whole_problems(given: Mapping[str, tuple[object, int]], optional: Collection[str] = ()) -> list[Problem]:
    """Numbers that must be whole and not below a minimum, each with it; None is for `optional` ones only."""
    found: list[Problem] = []
    for path, (value, minimum) in given.items():
        if value is None and path in optional:
            continue
        number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
        if not number.is_integer():
            found.append(Problem(path, f"must be a whole number, got {value!r}; write {path}={minimum or 1}, say."))
        elif number < minimum:
            found.append(Problem(path, f"must be at least {minimum}, got {value!r}; write {path}={minimum}, say."))
    return found


def parent_names(given: object) -> list[str]:
    """The names in `additional_parents`, from several or from a single one; None is none.

    Raises:
        InvalidArguments: it is something else.
    """
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        raise InvalidArguments.one("additional_parents", f"{given!r} is neither a job's name nor a list of names.")
    listed = list(given)
    if wrong := [each for each in listed if not isinstance(each, str)]:
        raise InvalidArguments.one("additional_parents", f"{wrong[0]!r} is not a job's name; give a list of names.")
    return listed


def config_problems(given: Mapping[str, tuple[object, type]]) -> list[Problem]:
    """Configuration values that are not of their class, each with it; None is left out.

    SageMaker's own classes have the same names and are as good.
    """
    found: list[Problem] = []
    for path, (value, kind) in given.items():
        if value is None:
            continue
        if not _is(value, kind):
            found.append(Problem(path, _not_of(value, kind)))
            continue
        nested = value.hyperband_strategy_config if isinstance(value, StrategyConfig) else None
        if nested is not None and not _is(nested, HyperbandStrategyConfig):
            found.append(Problem(f"{path}.hyperband_strategy_config", _not_of(nested, HyperbandStrategyConfig)))
            continue
        try:
            value.to_input_req()
        except (TypeError, ValueError, OverflowError) as error:
            found.append(Problem(path, f"{value!r} holds a value of the wrong kind: {error}. Give numbers as numbers."))
    return found


class _Config(Protocol):
    """A class of SageMaker's or ours that a request is made of."""

    def to_input_req(self) -> object: ...


def _is(value: object, kind: type) -> TypeGuard[_Config]:
    return isinstance(value, kind) or (type(value).__name__ == kind.__name__ and hasattr(value, "to_input_req"))


def _not_of(value: object, kind: type) -> str:
    return f"{value!r} is not a {kind.__name__}; write {kind.__name__}(...), of tunewright.tuner."


def agree(
    estimators: Mapping[str, object],
    objectives: Mapping[str, object],
    ranges: Mapping[str, object],
    metrics: Mapping[str, object],
    kept: Mapping[str, object],
) -> None:
    """See to it that objectives and ranges name all estimators, metric definitions and names kept static some.

    Raises:
        InvalidArguments: with every dictionary that does not.
    """
    names = sorted(estimators)
    if not names:
        raise InvalidArguments.one("estimator_dict", "name at least one estimator.")
    exact = {"objective_metric_name_dict": objectives, "hyperparameter_ranges_dict": ranges}
    some = {"metric_definitions_dict": metrics, "hyperparameters_to_keep_static_dict": kept}
    found = [
        Problem(where, f"must have the keys {names}, got {sorted(value)}.")
        for where, value in exact.items()
        if sorted(value) != names
    ]
    found += [
        Problem(where, f"may have the keys {names}, got {sorted(value)}.")
        for where, value in some.items()
        if not set(value) <= set(names)
    ]
    if found:
        raise InvalidArguments(found)


def inputs_by_part(inputs: Any, names: Sequence[str] | None) -> dict[str | None, Inputs]:
    """Inputs by estimator name; those of a single definition by None.

    Args:
        names: of the estimators; None for a single definition.

    Raises:
        InvalidArguments: they are not by these names.
    """
    if names is None:
        return {None: inputs}
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping) or not set(inputs) <= set(names):
        raise InvalidArguments.one("inputs", f"must be a dictionary by estimator name; the estimators are {names}.")
    return dict(inputs)
