"""What people give to `Search`: read as plain values, or refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, SupportsIndex

from tunewright.core.coercion import normalised
from tunewright.core.errors import Invalid, Problem
from tunewright.core.parameters import plain, shown
from tunewright.core.space import (
    CategoricalParameter,
    IntegerParameter,
    Parameter,
    Space,
    Value,
    remedy,
)
from tunewright.core.spec import IDENTICAL, TRANSFER, Direction, Strategy
from tunewright.core.suggest import did_you_mean

_CHOICES = {"hyperband_proposals": ("model", "random"), "hyperband_mode": ("stopping", "promotion")}
_OPTIONS = ("strategy", "initial_points", "replicates", *_CHOICES)


def parameters_of(space: object) -> dict[str, Parameter]:
    """The ranges of a space, with plain numbers. Raises Invalid: nothing more can be said then."""
    if not isinstance(space, Mapping):
        raise Invalid.one("space", f"{space!r} is not a dictionary of names to ranges, such as {{'x': ...}}.")
    found: dict[str, Parameter] = {}
    problems: list[Problem] = []
    for name, each in space.items():
        if not isinstance(name, str) or not name:
            problems.append(Problem("space", f"{name!r} is no name of a parameter; use text, such as 'x'."))
            continue
        try:
            found[name] = normalised(name, each)
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(problems)
    return found


def rule_kinds(steps: object, conditions: object, forbidden: object) -> None:
    """Raises Invalid: the rules are not of the kinds that they should be; nothing more can be said then."""
    problems = [
        Problem(name, f"{told!r} is not a dictionary of names to {what}; give {example}.")
        for name, told, what, example in (
            ("steps", steps, "distances", "{'x': 0.1}"),
            ("conditions", conditions, "conditions", "{'beta1': \"optimizer == 'adam'\"}"),
        )
        if told is not None and not isinstance(told, Mapping)
    ]
    if isinstance(forbidden, str) or not isinstance(forbidden, Sequence):
        problems.append(Problem("forbidden", f'{forbidden!r} is not a list of conditions; give ["x > 1 and y < 2"].'))
    if problems:
        raise Invalid(problems)


def whole_of(name: str, given: object, least: int = 1) -> tuple[int, list[Problem]]:
    """A whole number of at least so much, and what is wrong with it."""
    if isinstance(given, SupportsIndex) and not isinstance(given, bool) and given.__index__() >= least:
        return given.__index__(), []
    return least, [Problem(name, f"{shown(given, 80)} is not a whole number >= {least}.")]


def choice_problems(strategy: object, objective_type: object, warm_start_type: object) -> list[Problem]:
    """What is wrong with the words."""
    problems = []
    if not isinstance(strategy, str):
        problems.append(Problem("strategy", f"{strategy!r} is not the name of one; use {_words(list(Strategy))}."))
    for name, given, known in (
        ("objective_type", objective_type, [Direction.MINIMIZE, Direction.MAXIMIZE]),
        ("warm_start_type", warm_start_type, [TRANSFER, IDENTICAL]),
    ):
        if not isinstance(given, str) or given not in known:
            hint = did_you_mean(given, known) if isinstance(given, str) else ""
            problems.append(Problem(name, f"{given!r} is neither {' nor '.join(known)}.{hint}"))
    return problems


def _words(known: Sequence[str]) -> str:
    return f"{', '.join(known[:-1])} or {known[-1]}"


def resource_problems(strategy: object, least: object, most: object, early_stopping: object) -> list[Problem]:
    """What is wrong with the epochs, and with the rule that stops trainings."""
    problems = []
    low, wrong = whole_of("min_resource", least)
    problems += wrong
    high, wrong = (None, []) if most is None else whole_of("max_resource", most)
    problems += wrong
    hyperband = strategy == Strategy.HYPERBAND
    if hyperband and most is None:
        problems.append(Problem("max_resource", "Hyperband needs it: the number of epochs of a full training."))
    if hyperband and not problems and high is not None and low > high:
        text = f"{least!r} is greater than max_resource {most!r}; lower it, or raise max_resource."
        problems.append(Problem("min_resource", text))
    if not isinstance(plain(early_stopping), bool):
        text = f"{early_stopping!r} is neither True nor False; use True for the median rule."
        problems.append(Problem("early_stopping", text))
    elif hyperband and early_stopping:
        problems.append(Problem("early_stopping", "must be False with Hyperband, which stops trainings itself."))
    return problems


def option_problems(given: object, strategy: object) -> list[Problem]:
    """What is wrong with the options. Those of installed strategies may have any name."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        text = f"{given!r} is not a dictionary of names to JSON texts; give {{'hyperband_proposals': '\"random\"'}}."
        return [Problem("options", text)]
    ours = strategy in list(Strategy) and "strategy" not in given
    found = [problem for name, text in given.items() for problem in _option(name, text, ours=ours)]
    if not found and strategy != Strategy.HYPERBAND and given.get("hyperband_mode") == '"promotion"':
        text = f"'promotion' is for the strategy Hyperband, got {strategy!r}; leave one of the two out."
        return [Problem("options.hyperband_mode", text)]
    return found


def _option(name: object, text: object, *, ours: bool) -> list[Problem]:
    path = f"options.{name}"
    if ours and name not in _OPTIONS:
        return [Problem(path, f"is no option; known are {', '.join(_OPTIONS)}.{did_you_mean(str(name), _OPTIONS)}")]
    try:
        told = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        told = None
    if told is None:
        meant = (
            json.dumps(json.dumps(text)) if name in _CHOICES and isinstance(text, str) else "what json.dumps() makes"
        )
        return [Problem(path, f"{text!r} is not a JSON text; give {meant}.")]
    if name in _CHOICES and told not in _CHOICES[str(name)]:
        return [Problem(path, f"{told!r} is neither {' nor '.join(_CHOICES[str(name)])}.")]
    return whole_of(path, told)[1] if name == "replicates" else []


def objective_of(given: object, path: str = "value") -> float:
    """An objective, which need not be finite. Raises Invalid: it is no number."""
    try:
        if isinstance(given, bytes | bytearray):
            raise TypeError
        return float(plain(given))  # type: ignore[arg-type]  # what is no number raises
    except OverflowError:
        text = f"{shown(given, 80)} is beyond 1.8e308; tell infinity for a training that diverged."
    except (TypeError, ValueError):
        ways = "give a number, None for a training that failed, or NaN for one that diverged."
        text = f"{shown(given, 80)} is not a number; {ways}"
    raise Invalid.one(path, text)


def step_of(given: object) -> int:
    """An epoch. Raises Invalid: it is not a whole number >= 0."""
    told = plain(given)
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, SupportsIndex) or told.__index__() < 0:
        raise Invalid.one("step", f"{shown(given, 80)} is not a whole number >= 0; give the epoch, counted from 1.")
    return told.__index__()


def point_of(space: Space, given: object) -> dict[str, Value]:
    """The active values of a point with native types, inside or outside the ranges.

    Raises:
        Invalid: everything that is wrong with it.
    """
    if not isinstance(given, Mapping):
        example = dict.fromkeys(list(space.parameters)[:1], "...")
        raise Invalid.one("values", f"{shown(given, 80)} is not a dictionary of names to values, such as {example}.")
    problems: list[Problem] = []
    point: dict[str, Value] = {}
    for name, value in given.items():
        parameter = space.parameters.get(name)
        if parameter is None:
            hint = did_you_mean(str(name), space.parameters)
            problems.append(Problem(str(name), f"is not a parameter of this space; leave it out.{hint}"))
            continue
        try:
            point[name] = value_of(parameter, value)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    active = space.rules.active(point)
    missing = [name for name in space.parameters if name in active and name not in given]
    problems += [Problem(name, f"has no value; {remedy(space.parameters[name])}.") for name in missing]
    if problems:
        raise Invalid(problems)
    return {name: point[name] for name in space.parameters if name in active}


def value_of(parameter: Parameter, given: object) -> Value:
    """A parameter's native value, inside or outside its range. Raises ValueError with a sentence."""
    value = plain(given)
    if isinstance(parameter, CategoricalParameter):
        try:
            return parameter.cast(parameter.text(value))  # type: ignore[arg-type]  # what is no value raises
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{shown(given, 80)} is not among its values; {remedy(parameter)}.") from None
    kind = "is not a whole number" if isinstance(parameter, IntegerParameter) else "is not a finite number"
    try:
        if isinstance(value, bool | bytes | bytearray):
            raise TypeError
        number = parameter.cast(value) if isinstance(value, str) else value
        return _native(parameter, number)
    except OverflowError:
        kind = "is beyond 1.8e308"
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{shown(given, 80)} {kind}; {remedy(parameter)}.")


def _native(parameter: Parameter, number: Any) -> float | int:
    """A number of a numeric parameter's kind. Raises ValueError, TypeError or OverflowError: there is none."""
    if not math.isfinite(float(number)):
        raise ValueError
    if not isinstance(parameter, IntegerParameter):
        return float(number)
    if number != int(number):
        raise ValueError
    return int(number)


def known_of(space: Space, given: Mapping[str, object]) -> dict[str, Value]:
    """What a parent's values say of a space's parameters; what it cannot place is left out."""
    point: dict[str, Value] = {}
    for name, parameter in space.parameters.items():
        if name not in given:
            continue
        value = plain(given[name])
        # A whole number's parent may have had fractions: they have a place between its values.
        if isinstance(value, float) and math.isfinite(value) and not isinstance(parameter, CategoricalParameter):
            point[name] = value
            continue
        with suppress(ValueError):
            point[name] = value_of(parameter, value)
    return point


def pairs_of(place: int, given: object) -> list[tuple[Mapping[str, object], float | None]]:
    """The results of a parent that is a list. Raises Invalid: all that are no pairs of values and objective."""
    path = f"parents[{place}]"
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        text = f"{shown(given, 80)} is neither a search nor a list of pairs, such as [({{'x': 0.5}}, 0.1)]."
        raise Invalid.one(path, text)
    found: list[tuple[Mapping[str, object], float | None]] = []
    problems: list[Problem] = []
    for number, pair in enumerate(given):
        where = f"{path}[{number}]"
        if not isinstance(pair, Sequence) or len(pair) != 2 or not isinstance(pair[0], Mapping):
            text = f"{shown(pair, 80)} is not a pair of values and objective, such as ({{'x': 0.5}}, 0.1)."
            problems.append(Problem(where, text))
            continue
        try:
            found.append((pair[0], None if pair[1] is None else objective_of(pair[1], where)))
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(problems)
    return found
