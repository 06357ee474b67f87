"""From a place in AMT's request, in the wire's words, back to the field of the tuning file that it was made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunewright.aws.sagemaker.rules import CONFIG
from tunewright.cli.tunefile.document import Where
from tunewright.cli.tunefile.rules import TRAINING_EXTENSIONS

DEFINITION = "trainingJobDefinition"
_CRITERIA = f"{CONFIG}.tuningJobCompletionCriteria"
_HYPERBAND = f"{CONFIG}.strategyConfig.hyperbandStrategyConfig"

_FIELDS: Mapping[str, Where] = {
    "hyperParameterTuningJobName": ("name",),
    f"{CONFIG}.strategy": ("strategy",),
    f"{CONFIG}.strategyConfig": ("hyperband",),
    f"{_HYPERBAND}.minResource": ("hyperband", "min_resource"),
    f"{_HYPERBAND}.maxResource": ("hyperband", "max_resource"),
    f"{CONFIG}.hyperParameterTuningJobObjective": ("objective",),
    f"{CONFIG}.hyperParameterTuningJobObjective.metricName": ("objective", "metric"),
    f"{CONFIG}.resourceLimits.maxNumberOfTrainingJobs": ("max_jobs",),
    f"{CONFIG}.resourceLimits.maxParallelTrainingJobs": ("max_parallel_jobs",),
    f"{CONFIG}.resourceLimits.maxRuntimeInSeconds": ("completion", "max_runtime_seconds"),
    f"{CONFIG}.parameterRanges": ("parameters",),
    f"{CONFIG}.trainingJobEarlyStoppingType": ("early_stopping",),
    f"{CONFIG}.randomSeed": ("seed",),
    _CRITERIA: ("completion",),
    f"{_CRITERIA}.targetObjectiveMetricValue": ("completion", "target"),
    f"{_CRITERIA}.bestObjectiveNotImproving": ("completion", "not_improving"),
    "warmStartConfig": ("warm_start",),
    "warmStartConfig.parentHyperParameterTuningJobs": ("warm_start", "parents"),
    "tags": ("tags",),
    f"{DEFINITION}": ("training",),
    f"{DEFINITION}.algorithmSpecification.trainingImage": ("training", "image"),
    f"{DEFINITION}.algorithmSpecification.trainingInputMode": ("training", "input_mode"),
    f"{DEFINITION}.algorithmSpecification.metricDefinitions": ("training", "metrics"),
    f"{DEFINITION}.roleArn": ("training", "role"),
    f"{DEFINITION}.outputDataConfig": ("training", "output_path"),
    f"{DEFINITION}.stoppingCondition": ("training", "max_runtime_seconds"),
    f"{DEFINITION}.inputDataConfig": ("training", "inputs"),
    f"{DEFINITION}.environment": ("training", "environment"),
    f"{DEFINITION}.staticHyperParameters": ("training", "hyperparameters"),
    f"{DEFINITION}.checkpointConfig": ("training", "checkpoint_path"),
    f"{DEFINITION}.retryStrategy": ("training", "retries"),
    f"{DEFINITION}.resourceConfig.instanceType": ("training", "instance_type"),
    f"{DEFINITION}.resourceConfig.instanceCount": ("training", "instance_count"),
}
_TEXTS: Mapping[str, Where] = {
    "A metric is required": ("objective", "metric"),
    "MaxResource parameter is not provided": ("strategy",),
    "You don't have enough combinations": ("max_jobs",),
    "The set of tunable plus static": ("warm_start",),
    "Only the following fields": ("warm_start",),
}
"""Problems that AMT tells without a path, by how they begin."""

_STATIC: Mapping[str, str] = {"sagemaker_program": "entry_point", "sagemaker_submit_directory": "source_dir"}
_BOUNDS: Mapping[str, str] = {"minValue": "min", "maxValue": "max", "values": "values", "scalingType": "scaling"}


def field_of(path: str, message: str, request: Mapping[str, Any]) -> Where:
    """The field that a problem of the service is about; () when it is about the whole.

    Args:
        request: the request in which it was found, for the names of what the wire only counts.
    """
    ranges = {each["Name"] for kind in _ranges(request).values() for each in kind}
    if path in ranges:
        return ("parameters", path)
    if not path:
        return next((where for text, where in _TEXTS.items() if message.startswith(text)), ())
    return _listed(path, request) or _named(path) or _plain(path)


def _ranges(request: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    return found


def _listed(path: str, request: Mapping[str, Any]) -> Where:
    """What is an entry of a list on the wire and has a name in the file."""
    found = re.fullmatch(r"(.+?)\.(\d+)\.member(?:\.(\w+))?(?:\..*)?", path)
    if found is None:
        return ()
    around, place, member = found[1], int(found[2]) - 1, found[3] or ""
    training = request["TrainingJobDefinition"]
    if around.startswith(f"{CONFIG}.parameterRanges."):
        kind = around.rpartition(".")[2]
        name = _ranges(request)[kind[0].upper() + kind[1:]][place]["Name"]
        return ("parameters", name, _BOUNDS[member]) if member in _BOUNDS else ("parameters", name)
    if around == f"{DEFINITION}.algorithmSpecification.metricDefinitions":
        return ("training", "metrics", training["AlgorithmSpecification"]["MetricDefinitions"][place]["Name"])
    if around == f"{DEFINITION}.inputDataConfig":
        return ("training", "inputs", training["InputDataConfig"][place]["ChannelName"])
    if around == "warmStartConfig.parentHyperParameterTuningJobs":
        return ("warm_start", "parents", place)
    return ("tags", request["Tags"][place]["Key"]) if around == "tags" else ()


def _named(path: str) -> Where:
    """What has its name on the wire too: ranges, hyperparameters, variables, and our extension."""
    head, colon, name = path.partition(": ")
    if colon and head == f"{CONFIG}.parameterRanges":
        return ("parameters", name.strip("'"))
    if path.startswith(f"{DEFINITION}.environment."):
        return ("training", "environment", path.removeprefix(f"{DEFINITION}.environment."))
    static = path.removeprefix(f"{DEFINITION}.staticHyperParameters.")
    if static == path:
        return ()
    if (extended := re.fullmatch(r"_tunewright(?:_\d+)?\.(.+)", static)) is not None:
        return _extension(extended[1])
    return ("training", _STATIC[static]) if static in _STATIC else ("training", "hyperparameters", static)


def _extension(path: str) -> Where:
    """`initial_points.3: lr`, `forbidden[1]`, `conditions.lr`, `hyperband_mode`, `gpus`."""
    head = path.partition(".")[0].partition("[")[0].partition(":")[0]
    rest = path[len(head) :]
    if head.startswith("hyperband_"):
        return ("hyperband", head.removeprefix("hyperband_"))
    if head in TRAINING_EXTENSIONS:
        return ("training", head)
    if (point := re.match(r"\.(\d+)(?:: (.+))?", rest, re.DOTALL)) is not None and head == "initial_points":
        return (head, int(point[1]) - 1, *([point[2]] if point[2] else []))
    if (rule := re.match(r"\[(\d+)\]", rest)) is not None:
        return (head, int(rule[1]))
    return (head, rest[1:]) if rest.startswith(".") else (head,)


def _plain(path: str) -> Where:
    """The field whose place on the wire is nearest around a path."""
    while path and path not in _FIELDS:
        path = path.rpartition(".")[0]
    return _FIELDS.get(path, ())
