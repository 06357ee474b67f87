"""A tuning request read once: its definitions with the objective and the ranges that belong to each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.aws.sagemaker.builtin import algorithm_of, metrics_of
from tunewright.aws.sagemaker.extension import KEY, PART_KEYS, unpack
from tunewright.aws.sagemaker.protocol import Wire, shorten
from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import (
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
    Parameter,
    Point,
    Scaling,
    Space,
    with_rules,
)
from tunewright.core.spec import MetricDefinition

LISTS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_WIDEST = 2**53


@dataclass(frozen=True, slots=True)
class Part:
    """One definition of a tuning request.

    Args:
        path: where it stands, in the wire's words.
        body: the HyperParameterTrainingJobDefinition.
        objective: HyperParameterTuningJobObjective or TuningObjective, None when missing.
        ranges: ParameterRanges or HyperParameterRanges, empty when missing.
    """

    path: str
    body: Wire
    objective: Wire | None
    ranges: Wire
    ranges_path: str

    @property
    def static(self) -> dict[str, str]:
        """StaticHyperParameters, empty when missing."""
        found: dict[str, str] = self.body.get("StaticHyperParameters", {})
        return found

    @property
    def algorithm(self) -> str | None:
        """The built-in algorithm that it runs, or None."""
        return algorithm_of(self.body["AlgorithmSpecification"], self.static)

    @property
    def options(self) -> Mapping[str, str]:
        """The extended features by name, each as JSON text; none when they cannot be read, which is told elsewhere."""
        try:
            return unpack(self.static).options
        except Invalid:
            return {}

    @property
    def extension_path(self) -> str:
        """Where the extended features stand, in the wire's words."""
        return f"{self.path}.staticHyperParameters.{KEY}"

    def metrics(self) -> tuple[MetricDefinition, ...]:
        """The metric definitions given, or those that a built-in algorithm brings."""
        return metrics_in(self.body["AlgorithmSpecification"], self.static)


def metrics_in(specification: Mapping[str, Any], static: Mapping[str, str]) -> tuple[MetricDefinition, ...]:
    """The metric definitions of an AlgorithmSpecification, or those that a built-in algorithm brings."""
    given = tuple(MetricDefinition(m["Name"], m["Regex"]) for m in specification.get("MetricDefinitions", []))
    algorithm = algorithm_of(specification, static)
    return given if given or algorithm is None else metrics_of(algorithm)


def parts_of(request: Wire) -> list[Part]:
    """The definitions of a request in order, in whichever form they came."""
    config = request["HyperParameterTuningJobConfig"]
    if "TrainingJobDefinition" in request:
        single = request["TrainingJobDefinition"]
        objective, ranges = config.get("HyperParameterTuningJobObjective"), config.get("ParameterRanges", {})
        path = "hyperParameterTuningJobConfig.parameterRanges"
        return [Part("trainingJobDefinition", single, objective, ranges, path)]
    parts = []
    for number, body in enumerate(request.get("TrainingJobDefinitions", []), start=1):
        path = f"trainingJobDefinitions.{number}.member"
        ranges = body.get("HyperParameterRanges", {})
        parts.append(Part(path, body, body.get("TuningObjective"), ranges, f"{path}.hyperParameterRanges"))
    return parts


def space_of(part: Part) -> Space:
    """The space of a definition that `space_problems` found nothing wrong with."""
    return _ruled(part, _read(part.ranges)[0])[0]


def points_of(part: Part) -> tuple[Point, ...]:
    """The points to try first of a definition that the rules found nothing wrong with."""
    space = space_of(part)
    return tuple(space.read_values(point)[0] for point in _options(part).get("initial_points", []))


def space_problems(part: Part, *, strict: bool) -> list[Problem]:
    """All that is wrong with the ranges of a definition: names, bounds, values, scaling, and the rules between them."""
    space, problems = _read(part.ranges)
    problems += _name_problems(part)
    if strict:
        return problems + space.problems(strict=True)
    space, wrong = _ruled(part, space)
    if problems:
        # Rules that speak of a range which cannot be read would be blamed for it.
        space = Space(space.parameters)
    return problems + [_placed(part, problem) for problem in wrong + space.problems(strict=False)]


def _options(part: Part) -> dict[str, Any]:
    """The extended features that speak of a definition's parameters."""
    options = part.options
    return {name: json.loads(options[name]) for name in PART_KEYS if name in options}


def _ruled(part: Part, space: Space) -> tuple[Space, list[Problem]]:
    """A space with the rules of the definition's extension."""
    options = _options(part)
    return with_rules(space.parameters, options.get("steps"), options.get("conditions"), options.get("forbidden", ()))


def _placed(part: Part, problem: Problem) -> Problem:
    """A problem of the rules under the path of the extension; a range's stays under its name."""
    if problem.path.partition(".")[0].partition("[")[0] not in PART_KEYS:
        return problem
    return Problem(f"{part.extension_path}.{problem.path}", problem.message)


def _read(ranges: Wire) -> tuple[Space, list[Problem]]:
    """The readable ranges, in the order integer, continuous, categorical, and what is wrong with the others."""
    problems: list[Problem] = []
    parameters: dict[str, Parameter] = {}
    for body in ranges.get("IntegerParameterRanges", []):
        bounds = [_integer(body, which, problems) for which in ("MinValue", "MaxValue")]
        if None not in bounds:
            low, high = (int(bound or 0) for bound in bounds)
            parameters[body["Name"]] = IntegerParameter(low, high, body.get("ScalingType", Scaling.AUTO))
    for body in ranges.get("ContinuousParameterRanges", []):
        edges = [_number(body, which, problems) for which in ("MinValue", "MaxValue")]
        if None not in edges:
            low_edge, high_edge = (float(edge or 0.0) for edge in edges)
            _check_width(body["Name"], low_edge, high_edge, problems)
            parameters[body["Name"]] = ContinuousParameter(low_edge, high_edge, body.get("ScalingType", Scaling.AUTO))
    for body in ranges.get("CategoricalParameterRanges", []):
        parameters[body["Name"]] = CategoricalParameter(tuple(body["Values"]))
    return Space(parameters), problems


def _number(body: Wire, which: str, problems: list[Problem]) -> float | None:
    text = body[which].strip()
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if abs(value) <= 1.7e308:
        return value
    problems.append(Problem(body["Name"], f"{which} must be a finite number as text, got {shorten(body[which])!r}."))
    return None


def _integer(body: Wire, which: str, problems: list[Problem]) -> int | None:
    text = body[which].strip()
    whole = re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII) is not None
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if abs(value) <= _WIDEST and value == int(value):
        return int(text) if whole else int(value)
    if abs(value) > _WIDEST:
        rule = "must lie within 2^53 of zero"
    else:
        rule = "must be a whole number as text; use a continuous range for fractions"
    problems.append(Problem(body["Name"], f"{which} {rule}, got {shorten(body[which])!r}."))
    return None


def _check_width(name: str, low: float, high: float, problems: list[Problem]) -> None:
    if low < high and high - low > 1.7e308:
        problems.append(Problem(name, f"the range from {low} to {high} is too wide for a 64-bit float; narrow it."))


def _name_problems(part: Part) -> Iterable[Problem]:
    seen: set[str] = set()
    for kind in (*LISTS, "AutoParameters"):
        for body in part.ranges.get(kind, []):
            name = body["Name"]
            if name in seen:
                yield Problem(f"{part.ranges_path}: {name}", "this name has several ranges; give it one.")
            if name in part.static:
                text = f"is tuned and also in StaticHyperParameters (as {shorten(part.static[name], 40)!r}); keep one."
                yield Problem(f"{part.ranges_path}: {name}", text)
            if not name or name.startswith("_tuning_objective") or name.startswith("_tunewright"):
                yield Problem(f"{part.ranges_path}: {name!r}", "is empty or reserved; choose another name.")
            seen.add(name)


def range_count(ranges: Wire) -> int:
    """How many ranges there are, of all kinds together."""
    return sum(len(ranges.get(kind, [])) for kind in LISTS)
