"""Checking a tuning file before anything starts: by its JSON Schema, and by the rules that a schema cannot say.

Every problem is found at once. A message names the field and its line, the value, the rule and the remedy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from tunewright.cli.document import Document, Plain, Where
from tunewright.cli.names import did_you_mean, listed, nearest
from tunewright.control.metrics import compile_pattern
from tunewright.core.errors import Problem
from tunewright.core.replicates import budget_problem
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Space,
    Value,
    with_rules,
)

EXTENSIONS = ("initial_points", "conditions", "steps", "forbidden", "replicates", "keep_best")
TRAINING_EXTENSIONS = ("function", "python", "cpus", "gpus")
HYPERBAND_EXTENSIONS = ("proposals", "mode")

_KINDS = {
    "object": "a table of fields",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "empty",
}
_SWITCHES = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


@cache
def schema() -> dict[str, object]:
    """The JSON Schema of tuning files, as shipped."""
    text = resources.files("tunewright.cli").joinpath("schema/tuning-file.schema.json").read_text(encoding="utf-8")
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def problems(document: Document, *, strict: bool) -> list[Problem]:
    """All that is wrong with a tuning file, in the order of its lines."""
    found = list(_by_schema(document.data))
    if not found:
        found = list(_by_rules(document.data, strict=strict))
    unique = {(where, message): extended for where, message, extended in found}
    ordered = sorted(unique, key=lambda key: (document.line(key[0]) or math.inf, [str(part) for part in key[0]]))
    return [Problem(document.place(where), message, unique[where, message]) for where, message in ordered]


_Finding = tuple[Where, str, bool]


# ---- the schema's errors in words ----


def _by_schema(data: Plain) -> Iterator[_Finding]:
    for error in Draft202012Validator(schema()).iter_errors(data):
        yield from _explained(error)


def _explained(error: ValidationError) -> Iterator[_Finding]:
    where: Where = tuple(error.absolute_path)
    rule: Any = error.validator_value
    instance: Any = error.instance
    around = error.schema if isinstance(error.schema, dict) else {}
    match error.validator:
        case "additionalProperties":
            known = sorted(around.get("properties", {}))
            for name in instance:
                if name not in known:
                    remedy = did_you_mean(name, known) or f" Known here: {listed(known, 30)}."
                    yield (*where, name), f"is not a field.{remedy}", False
        case "required":
            for name in rule:
                if name not in instance:
                    field = around.get("properties", {}).get(name)
                    text = field.get("description", "") if isinstance(field, dict) else ""
                    yield where, f"{name!r} is missing.{' ' + text if text else ''}", False
        case "enum":
            allowed = [str(value) for value in rule]
            hint = did_you_mean(str(error.instance), allowed)
            yield where, f"{_shown(error.instance)} is not one of {', '.join(allowed)}.{hint}", False
        case "type":
            yield where, _wrong_kind(error.instance, rule if isinstance(rule, list) else [rule]), False
        case _:
            yield where, _broken_rule(error, rule), False


def _wrong_kind(value: object, wanted: Sequence[str]) -> str:
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    if value is None:
        return f"is empty; it must be {kinds}. Give a value or leave the field out."
    return f"{_shown(value)} is not {kinds}.{_kind_hint(value, wanted)}"


def _kind_hint(value: object, wanted: Sequence[str]) -> str:
    match value:
        case str() if {"number", "integer"} & set(wanted) and _is_number(value):
            return f" Write {value.strip()} without quotes."
        case str() if "boolean" in wanted and value.lower() in _SWITCHES:
            return f" Write {_SWITCHES[value.lower()]}."
        case bool() if "string" in wanted:
            return f' Write "{str(value).lower()}" in quotes.'
        case int() | float() if "string" in wanted:
            return f' Write "{value}" in quotes.'
        case _ if "array" in wanted and not isinstance(value, dict):
            return f" Write [{value}]."
    return ""


def _broken_rule(error: ValidationError, limit: Any) -> str:
    value = error.instance
    size = len(value) if isinstance(value, str | list | dict) else 0
    match error.validator:
        case "minimum":
            return f"{_shown(value)} is too small; the smallest allowed is {limit}."
        case "maximum":
            return f"{_shown(value)} is too large; the largest allowed is {limit}."
        case "exclusiveMinimum":
            return f"{_shown(value)} is too small; it must be greater than {limit}."
        case "minItems" | "minProperties" | "minLength" if size == 0:
            return f"is empty; at least {limit} is needed."
        case "minItems" | "minProperties" | "minLength":
            return f"has {size}; at least {limit} are needed."
        case "maxItems" | "maxProperties" | "maxLength":
            return f"has {size} {'characters' if isinstance(value, str) else 'entries'}; the limit is {limit}."
        case "pattern":
            return _broken_pattern(error)
    return f"{error.message}."


def _broken_pattern(error: ValidationError) -> str:
    value = str(error.instance)
    if error.absolute_path and error.absolute_path[-1] == "function":
        return f"{value!r} is not a function's address; write package.module:name."
    if error.absolute_path and error.absolute_path[-1] == "name":
        long = f" It has {len(value)} characters." if len(value) > 63 else ""
        return f"{value!r} is not a name for a tuning job: letters, digits and, inside, hyphens, at most 63.{long}"
    return f"{value!r} is not a name for a variable: letters, digits and underscores, not beginning with a digit."


def _shown(value: object) -> str:
    text = json.dumps(value, default=str) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# ---- rules beyond the schema; the data is of the schema's shape here ----


def _by_rules(data: Mapping[str, Plain], *, strict: bool) -> Iterator[_Finding]:
    training = table(data, "training")
    yield from _program(training)
    yield from _tuned(data, training, strict=strict)
    if not strict:
        yield from _ruled(data)
    yield from _objective(data, training)
    yield from _patterns(training)
    yield from _strategy(data, training)
    if strict:
        yield from _only_extended(data, training)


def table(data: Mapping[str, Plain], name: str) -> dict[str, Plain]:
    """A field that is a table, or an empty one."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _program(training: Mapping[str, Plain]) -> Iterator[_Finding]:
    ways = [name for name in ("entry_point", "function", "algorithm") if name in training]
    where: Where = ("training",)
    if not ways and "image" not in training:
        yield where, "says nothing to run: give entry_point (a script) or function (package.module:name).", False
    if len(ways) > 1:
        yield where, f"gives {' and '.join(ways)}; keep one of them.", False
    if "algorithm" in training:
        yield (
            (*where, "algorithm"),
            f"built-in algorithms such as {training['algorithm']!r} cannot be run yet; call the library in a script of"
            " your own and name it in entry_point.",
            False,
        )


def _tuned(data: Mapping[str, Plain], training: Mapping[str, Plain], *, strict: bool) -> Iterator[_Finding]:
    parameters = table(data, "parameters")
    if not parameters:
        yield ("parameters",), "is missing: give at least one parameter to tune, with its type and range.", False
        return
    for name, parameter in space(parameters).parameters.items():
        where: Where = ("parameters", name)
        for problem in parameter.problems(name, strict=strict):
            yield where, problem.message, problem.extended_allows
    static = table(training, "hyperparameters")
    for name in parameters:
        if name in static:
            text = "is tuned under parameters and fixed here too; remove one of them."
            yield ("training", "hyperparameters", name), text, False
        if name.startswith("_tun") or name.startswith("sagemaker_"):
            yield ("parameters", name), "is a reserved name; choose another one.", False
    for name in static:
        if name.startswith("_tun"):
            yield ("training", "hyperparameters", name), "is a reserved name; choose another one.", False


def space(parameters: Mapping[str, Plain]) -> Space:
    """The search space of a file's `parameters`, whose shape has been checked."""
    return Space({name: _parameter(entry) for name, entry in parameters.items() if isinstance(entry, dict)})


def _parameter(entry: Mapping[str, Plain]) -> Parameter:
    if entry["type"] == "categorical":
        values = entry["values"]
        assert isinstance(values, list)
        return CategoricalParameter([value for value in values if isinstance(value, Value)])
    low, high = entry["min"], entry["max"]
    assert isinstance(low, int | float) and isinstance(high, int | float)
    kind = IntegerParameter if entry["type"] == "integer" else ContinuousParameter
    return kind(low, high, str(entry.get("scaling", "Auto")))


def _objective(data: Mapping[str, Plain], training: Mapping[str, Plain]) -> Iterator[_Finding]:
    objective, metrics = table(data, "objective"), table(training, "metrics")
    if not objective:
        text = 'is missing: name the metric that counts, such as {metric: "val:acc", type: Maximize}.'
        yield ("objective",), text, False
        return
    metric = str(objective["metric"])
    if metrics and metric not in metrics:
        near = nearest(metric, metrics)
        hint = f" Did you mean {near!r}?" if near else ""
        names = ", ".join(map(repr, metrics))
        yield ("objective", "metric"), f"{metric!r} is not among training.metrics, which define {names}.{hint}", False


def _patterns(training: Mapping[str, Plain]) -> Iterator[_Finding]:
    for name, pattern in table(training, "metrics").items():
        where: Where = ("training", "metrics", name)
        try:
            compile_pattern(str(pattern))
        except ValueError as error:
            yield where, f"{pattern!r} {error}.", False


def _strategy(data: Mapping[str, Plain], training: Mapping[str, Plain]) -> Iterator[_Finding]:
    strategy = data.get("strategy", "Bayesian")
    if strategy == "Hyperband" and data.get("early_stopping") == "Auto":
        text = "Auto cannot be used with Hyperband, which stops training jobs itself; use Off."
        yield ("early_stopping",), text, False
    hyperband = table(data, "hyperband")
    low, high = hyperband.get("min_resource", 1), hyperband.get("max_resource")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield ("hyperband", "min_resource"), f"{low} is greater than max_resource {high}; swap them.", False
    if hyperband.get("mode") == "promotion":
        yield from _promotion(str(strategy), training)
    jobs, replicates = data.get("max_jobs"), data.get("replicates", 1)
    if isinstance(jobs, int) and isinstance(replicates, int) and (wrong := budget_problem(jobs, replicates)):
        yield ("max_jobs",), wrong, False
    if "max_jobs" not in data and strategy != "Grid" and not table(data, "completion"):
        text = "is missing, and nothing else ends the job: give max_jobs, or a limit under completion."
        yield ("max_jobs",), text, False


def _promotion(strategy: str, training: Mapping[str, Plain]) -> Iterator[_Finding]:
    if strategy != "Hyperband":
        text = f"promotion is for the strategy Hyperband, got {strategy}; set strategy: Hyperband, or leave it out."
        yield ("hyperband", "mode"), text, False
    if "checkpoint_path" not in training:
        text = (
            "is missing, and with hyperband mode promotion training jobs are paused and resumed from their checkpoints;"
            " say where they are kept, such as ./checkpoints, or use mode: stopping."
        )
        yield ("training", "checkpoint_path"), text, False


def _ruled(data: Mapping[str, Plain]) -> Iterator[_Finding]:
    """Steps, conditions, forbidden combinations and points to try first must fit the parameters and one another."""
    parameters = space(table(data, "parameters"))
    steps, conditions = table(data, "steps"), table(data, "conditions")
    forbidden, points = data.get("forbidden"), data.get("initial_points")
    numbers = {name: step for name, step in steps.items() if isinstance(step, int | float)}
    texts = {name: str(text) for name, text in conditions.items()}
    rules = [str(text) for text in forbidden] if isinstance(forbidden, list) else []
    ruled, found = with_rules(parameters.parameters, numbers, texts, rules)
    if not parameters.problems(strict=False):
        found += ruled.problems(strict=False)
        for problem in found:
            yield _where(problem.path, steps), problem.message, False
    for place, point in enumerate(points if isinstance(points, list) and not found else []):
        for problem in ruled.read_point(point if isinstance(point, dict) else {})[1]:
            where: Where = ("initial_points", place, *([problem.path] if problem.path else []))
            yield where, problem.message, False


def _where(path: str, steps: Mapping[str, Plain]) -> Where:
    """Where in the file a problem of a space belongs: `conditions.NAME`, `forbidden[PLACE]`, or a stepped range."""
    head, _, name = path.partition(".")
    if head in ("conditions", "steps") and name:
        return (head, name)
    if path.startswith("forbidden["):
        return ("forbidden", int(path[len("forbidden[") : -1]))
    return ("steps", path) if path in steps else (path,)


def _only_extended(data: Mapping[str, Plain], training: Mapping[str, Plain]) -> Iterator[_Finding]:
    name = str(data.get("name", ""))
    if len(name) > 32:
        yield ("name",), f"{name!r} has {len(name)} characters; the limit is 32.", True
    text = "is an extension of Tunewright's, which strict mode refuses; leave it out."
    for name in EXTENSIONS:
        if name in data:
            yield (name,), text, True
    for name in TRAINING_EXTENSIONS:
        if name in training:
            yield ("training", name), text, True
    for name in HYPERBAND_EXTENSIONS:
        if name in table(data, "hyperband"):
            yield ("hyperband", name), text, True
