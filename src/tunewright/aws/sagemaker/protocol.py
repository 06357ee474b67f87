"""AWS JSON 1.1 by botocore's SageMaker service model: the model is the specification.

Requests are parsed strictly (RFC 8259: no NaN, no Infinity), read along their shape (unknown members and
nulls are dropped, as AWS does) and checked against every constraint in the model; all violations are
collected, worded as AWS words them.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import regex
from botocore.loaders import Loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

from tunewright.aws.sagemaker.limits import EXTENDED_PATTERNS, extended_maximum
from tunewright.core.errors import TunewrightError

Wire: TypeAlias = dict[str, Any]

MATCH_SECONDS = 1.0
SHOWN = 120
# A self-hosted service maps any instance type (and SDK v2's "local") to this machine.
OPEN_ENUMS = {"TrainingInstanceType": r"ml\..+|local|local_gpu"}
OPERATIONS = (
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
    "ListTrainingJobsForHyperParameterTuningJob",
    "StopHyperParameterTuningJob",
    "DeleteHyperParameterTuningJob",
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
)
"""What is answered here."""
INTEGER_BITS = {"integer": 31, "long": 63}


class BadBody(TunewrightError):
    """The body of a request is not a JSON object in UTF-8."""


class UnknownOperation(TunewrightError):
    """SageMaker has no such operation, or it is none of ours."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that breaks a constraint of the model.

    Args:
        path: AWS's path, such as `trainingJobDefinition.inputDataConfig.1.member.channelName`.
        value: the value as shown, or `null`.
        constraint: AWS's wording.
        structural: whether the value is missing or of another kind, so that nothing can be built on it.
        extended_allows: whether extended mode would accept it.
    """

    path: str
    value: str
    constraint: str
    structural: bool = False
    extended_allows: bool = False

    def __str__(self) -> str:
        hint = " (extended mode allows it)" if self.extended_allows else ""
        return f"Value {self.value} at '{self.path}' failed to satisfy constraint: {self.constraint}{hint}"


@functools.cache
def loader() -> Loader:
    """One loader for the process's clients: it keeps the parsed model. The user's own models are not read."""
    return _new_loader()


def _new_loader() -> Loader:
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


@functools.cache
def service() -> ServiceModel:
    """SageMaker's model, of which only what our operations are made of is kept: a fiftieth of it.

    A process that has a client as well shares that one's model.
    """
    if loader.cache_info().currsize:
        return ServiceModel(_ours(loader()), "sagemaker")
    # Written and read again, what is kept lies together, and the memory of all the rest is free.
    return ServiceModel(json.loads(json.dumps(_ours(_new_loader()))), "sagemaker")


def _ours(source: Loader) -> Wire:
    """The model without what no operation of ours needs; the others' names stay."""
    whole = source.load_service_model("sagemaker", "service-2")
    operations = {name: body if name in OPERATIONS else {} for name, body in whole["operations"].items()}
    return {**whole, "operations": operations, "shapes": _reached(whole["shapes"], operations.values())}


def _reached(shapes: Wire, operations: Iterable[Wire]) -> Wire:
    """The shapes that inputs, outputs and errors of operations refer to, however far away."""
    found: Wire = {}
    todo: list[Any] = list(operations)
    while todo:
        match todo.pop():
            case dict() as body:
                name = body.get("shape")
                if isinstance(name, str) and name not in found:
                    found[name] = shapes[name]
                    todo.append(shapes[name])
                todo += body.values()
            case list() as items:
                todo += items
    return found


def operation_model(name: str) -> OperationModel:
    """Raises UnknownOperation."""
    try:
        return service().operation_model(name)
    except OperationNotFoundError:
        raise UnknownOperation(f"Amazon SageMaker has no operation called {name!r}.") from None


def load_json(body: bytes) -> Wire:
    """The JSON object in a request body; an empty body is an empty object. Raises BadBody."""
    try:
        value = json.loads(body.decode("utf-8") or "{}", parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"The request body is not valid JSON: {str(error)[:200] or 'nested too deeply'}.") from None
    if not isinstance(value, dict):
        raise BadBody("The request body must be a JSON object.")
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is out of range")
    return value


def read_request(operation: str, body: Wire, *, strict: bool) -> tuple[Wire, list[Violation]]:
    """The members that the operation knows, and everything in them that breaks the model."""
    shape = operation_model(operation).input_shape
    reader = _Reader(strict)
    return ({} if shape is None else reader.read(shape, body, "")), reader.found


def has_structure(violations: Iterable[Violation]) -> bool:
    """Whether all members are there and of their kinds, so that rules beyond the model can be looked at."""
    return not any(violation.structural for violation in violations)


MOST_VIOLATIONS = 100
"""With more of them, the rest of a list is not looked at."""


class _Reader:
    """Walks a value along its shape, collecting violations."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.found: list[Violation] = []

    def read(self, shape: Any, value: Any, path: str) -> Any:
        match shape.type_name:
            case "structure":
                return self._structure(shape, value, path)
            case "list":
                return self._list(shape, value, path)
            case "map":
                return self._map(shape, value, path)
            case "string":
                return self._string(shape, value, path)
            case "boolean":
                return value if isinstance(value, bool) else self._wrong(path, value, "a boolean")
            case "integer" | "long":
                return self._integer(shape, value, path)
            case _:
                return self._number(shape, value, path)

    def _structure(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, value, "an object")
        known: Wire = {}
        for name, member in shape.members.items():
            inner = f"{path}.{lower(name)}" if path else lower(name)
            if value.get(name) is not None:
                known[name] = self.read(member, value[name], inner)
            elif name in shape.required_members:
                self.found.append(Violation(inner, "null", "Member must not be null", structural=True))
        return known

    def _list(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, value, "a list")
        self._length(shape, value, path)
        known = []
        for place, item in enumerate(value, start=1):
            if len(self.found) > MOST_VIOLATIONS:
                break  # it is refused in any case, and who sends a million mistakes is not told of each
            known.append(self._member(shape.member, item, f"{path}.{place}.member"))
        return known

    def _member(self, shape: Any, value: Any, path: str) -> Any:
        if value is None:
            self.found.append(Violation(path, "null", "Member must not be null", structural=True))
            return None
        return self.read(shape, value, path)

    def _map(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, value, "a map")
        self._length(shape, value, path)
        for key in value:
            self._string(shape.key, key, f"{path}.key")
        return {key: self._member(shape.value, item, f"{path}.{shorten(key)}") for key, item in value.items()}

    def _string(self, shape: Any, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            return self._wrong(path, value, "a string")
        if not _storable(value):
            self.found.append(
                Violation(path, _shown(value), "Member must be valid Unicode text without NUL", structural=True)
            )
            return value
        self._length(shape, value, path)
        if shape.enum:
            self._enum(shape, value, path)
        elif (pattern := shape.metadata.get("pattern")) is not None and not matches(pattern, value):
            allowed = EXTENDED_PATTERNS.get(shape.name)
            relaxed = allowed is not None and matches(allowed, value)
            self._add(path, value, f"Member must satisfy regular expression pattern: {pattern}", relaxed)
        return value

    def _enum(self, shape: Any, value: str, path: str) -> None:
        if value in shape.enum:
            return
        opened = OPEN_ENUMS.get(shape.name)
        if opened is None or not matches(opened, value):
            self._add(path, value, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")

    def _integer(self, shape: Any, value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong(path, value, "an integer")
        top = 2 ** INTEGER_BITS[shape.type_name] - 1
        if not -top - 1 <= value <= top:
            self._add(path, value, f"Member must have value between {-top - 1} and {top}")
        self._value(shape, value, path)
        return value

    def _number(self, shape: Any, value: Any, path: str) -> Any:
        """Floats, and timestamps as seconds since the epoch."""
        kind = "seconds since the epoch as a number" if shape.type_name == "timestamp" else "a number"
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
            return self._wrong(path, value, kind)
        self._value(shape, value, path)
        return float(value)

    def _length(self, shape: Any, value: Any, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and len(value) < low:
            self._add(path, value, f"Member must have length greater than or equal to {low}")
        if high is not None and len(value) > high:
            most, relaxed = self._most(shape.name, high, len(value))
            self._add(path, value, f"Member must have length less than or equal to {most} (has {len(value)})", relaxed)

    def _most(self, shape: str, high: int, size: float) -> tuple[int, bool]:
        """The maximum that a size is over in this mode, and whether extended mode takes it."""
        lifted = extended_maximum(shape, high)
        if lifted is None or size <= lifted:
            return high, True
        return (high if self.strict else lifted), False

    def _value(self, shape: Any, value: float, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            self._add(path, value, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            most, relaxed = self._most(shape.name, high, value)
            self._add(path, value, f"Member must have value less than or equal to {most}", relaxed)

    def _wrong(self, path: str, value: Any, kind: str) -> Any:
        hint = ""
        if kind == "a string" and isinstance(value, int | float):
            hint = f'; send it in quotes: "{json.dumps(value)}"'
        self.found.append(Violation(path, _shown(value), f"Member must be {kind}{hint}", structural=True))
        return value

    def _add(self, path: str, value: Any, constraint: str, relaxed: bool = False) -> None:
        if self.strict or not relaxed:
            self.found.append(Violation(path, _shown(value), constraint, extended_allows=relaxed))


def lower(name: str) -> str:
    """AWS's spelling of a member in messages: the first letter in lower case."""
    return name[:1].lower() + name[1:]


def shorten(text: str, limit: int = SHOWN) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + shorten(text).encode("utf-8", "replace").decode() + "'"


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


@functools.cache
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of the model covers the whole text; a match that takes too long is none."""
    try:
        return _compiled(pattern).fullmatch(text, timeout=MATCH_SECONDS) is not None
    except TimeoutError:
        return False
