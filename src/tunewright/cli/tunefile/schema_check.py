"""Checking a tuning file by itself: by its JSON Schema, and by the rules that a schema cannot say.

Every problem is found at once: the rules are tried on whatever has its shape. A message names the field and its line,
the value, the rule and the remedy.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from tunewright.cli.names import listed
from tunewright.cli.tunefile.document import Document, Plain, Where
from tunewright.cli.tunefile.rules import Finding, Sound, broken_rules
from tunewright.core.errors import Problem
from tunewright.core.suggest import did_you_mean

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

_ELSEWHERE = {
    **dict.fromkeys(("float", "double", "real", "uniform", "loguniform", "log_uniform"), "continuous"),
    **dict.fromkeys(("choice", "discrete", "str", "string", "bool", "boolean", "category"), "categorical"),
    **dict.fromkeys(("tpe", "gp", "bayes"), "Bayesian"),
    **dict.fromkeys(("asha", "bohb", "sha"), "Hyperband"),
    "median": "Auto",
}
"""Words of other tools, and ours."""


@cache
def schema() -> dict[str, object]:
    """The JSON Schema of tuning files, as shipped."""
    text = resources.files("tunewright.cli").joinpath("schema/tuning-file.schema.json").read_text(encoding="utf-8")
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def findings(document: Document, *, strict: bool) -> tuple[Sound, list[Finding]]:
    """What of a tuning file has its shape, and what is wrong with the file, its files aside."""
    found = list(_by_schema(document.data))
    sound = sound_part(document.data)
    return sound, found + list(broken_rules(sound, strict=strict))


def told(document: Document, found: Iterable[Finding]) -> list[Problem]:
    """Problems for a person: each once, in the order of the file's lines."""
    unique = {(where, message): extended for where, message, extended in found}
    ordered = sorted(unique, key=lambda key: (document.line(key[0]) or math.inf, [str(part) for part in key[0]]))
    return [Problem(document.place(where), message, unique[where, message]) for where, message in ordered]


# ---- what has its shape ----


def sound_part(given: dict[str, Plain]) -> Sound:
    """A file's data without the parts that the schema refuses; a part goes when it lacks what it needs."""
    data, cuts = copy.deepcopy(given), set[Where]()
    data.setdefault("training", {})
    validator = Draft202012Validator(schema())
    while errors := list(validator.iter_errors(data)):
        for where in {where for error in errors for where in _unsound(error)}:
            cuts.add(cut_out(data, where))
            data.setdefault("training", {})
    return Sound(data, given, frozenset(cuts))


def cut_out(data: dict[str, Plain], where: Where) -> Where:
    """Remove a field, or the list around it, for the places of a list must not move; where that was."""
    around: Plain = data
    for place, part in enumerate(where[:-1]):
        if not isinstance(around, dict) or isinstance(where[place + 1], int):
            return cut_out(data, where[: place + 1])
        around = around.get(str(part))
    if isinstance(around, dict):
        around.pop(str(where[-1]), None)
    return where


def _unsound(error: ValidationError) -> Iterator[Where]:
    where: Where = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        instance: Any = error.instance
        yield from ((*where, name) for name in instance if name not in known)
    elif _of_name(error):
        yield (*where, str(error.instance))
    else:
        yield where


def _of_name(error: ValidationError) -> bool:
    """Whether it is a key that breaks the rule, not what stands under it."""
    return "propertyNames" in error.absolute_schema_path


# ---- the schema's errors in words ----


def _by_schema(data: Plain) -> Iterator[Finding]:
    for error in Draft202012Validator(schema()).iter_errors(data):
        yield from _explained(error)


def _explained(error: ValidationError) -> Iterator[Finding]:
    where: Where = (*error.absolute_path, *([str(error.instance)] if _of_name(error) else []))
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
            hint = did_you_mean(str(error.instance), allowed) or _elsewhere(error.instance, allowed)
            yield where, f"{_shown(error.instance)} is not one of {', '.join(allowed)}.{hint}", False
        case "type":
            wrong = _wrong_kind(error.instance, rule if isinstance(rule, list) else [rule])
            yield where, f"{wrong}{_example(around)}", False
        case _:
            yield where, _broken_rule(error, rule), False


def _elsewhere(value: object, allowed: Sequence[str]) -> str:
    """` Did you mean 'categorical'?` for what other tools call it."""
    meant = _ELSEWHERE.get(str(value).lower())
    return f" Did you mean {meant!r}?" if meant in allowed else ""


def _wrong_kind(value: object, wanted: Sequence[str]) -> str:
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    if value is None:
        return f"is empty; it must be {kinds}. Give a value or leave the field out."
    return f"{_shown(value)} is not {kinds}.{_kind_hint(value, wanted)}"


def _example(around: Mapping[str, Any]) -> str:
    """` Write one such as {metric: loss, type: Minimize}.` where the schema shows one."""
    shown = [json.dumps(one).replace('"', "") for one in around.get("examples", [])]
    return f" Write one such as {' or '.join(shown)}." if shown else ""


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
        case "minLength" if _of_name(error):
            return "has no name; give it one."
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
    field = error.absolute_path[-1] if error.absolute_path else ""
    if field == "function":
        return f"{value!r} is not a function's address; write package.module:name."
    if field == "inputs":
        return f"{value!r} is not a name for a channel: letters, digits, '.', '-' and '_', at most 64."
    if field == "name":
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
