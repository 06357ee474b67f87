"""Tasks and their ends as JSON: between the processes of this room, and on record in a training job's directory."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tunewright.core.ports import ExitReport, Task
from tunewright.core.spec import Channel, Function, InstanceGroup, Instances, MetricDefinition, Training
from tunewright.core.trial import Failure

_TASK = tuple(field.name for field in fields(Task))
_TRAINING = tuple(field.name for field in fields(Training))
_CHANNEL = tuple(field.name for field in fields(Channel))
_EXIT = tuple(field.name for field in fields(ExitReport))
_TUPLES = ("entrypoint", "arguments")


def task_to_json(task: Task) -> dict[str, Any]:
    """A task as plain JSON values; `task_from_json` gives back an equal one."""
    training = {name: getattr(task.training, name) for name in _TRAINING}
    training["metrics"] = [[metric.name, metric.regex] for metric in task.training.metrics]
    training["channels"] = [[getattr(channel, name) for name in _CHANNEL] for channel in task.training.channels]
    training["instance_groups"] = [[g.name, g.kind, g.count] for g in task.training.instance_groups]
    training["alternatives"] = [[each.kind, each.count] for each in task.training.alternatives]
    training["static"] = dict(task.training.static)
    training["environment"] = dict(task.training.environment)
    function = task.training.function
    training["function"] = function and [function.reference, function.pickled, list(function.path)]
    values = {name: getattr(task, name) for name in _TASK}
    values["training"] = training
    values["hyperparameters"] = dict(task.hyperparameters)
    return values


def task_from_json(values: dict[str, Any]) -> Task:
    """The task that `task_to_json` was given."""
    training = dict(values["training"])
    training["metrics"] = tuple(MetricDefinition(*metric) for metric in training["metrics"])
    training["channels"] = tuple(_channel(channel) for channel in training["channels"])
    training["instance_groups"] = tuple(InstanceGroup(*group) for group in training["instance_groups"])
    training["alternatives"] = tuple(Instances(*each) for each in training["alternatives"])
    for name in _TUPLES:
        training[name] = tuple(training[name])
    if training["function"] is not None:
        reference, pickled, path = training["function"]
        training["function"] = Function(reference, pickled, tuple(path))
    return Task(**{**values, "training": Training(**training)})


def _channel(values: list[Any]) -> Channel:
    given = dict(zip(_CHANNEL, values, strict=True))
    return Channel(**{**given, "groups": tuple(given["groups"]), "attributes": tuple(given["attributes"])})


def exit_to_json(report: ExitReport) -> dict[str, Any]:
    """An end as plain JSON values; `exit_from_json` gives back an equal one."""
    return {name: getattr(report, name) for name in _EXIT}


def exit_from_json(values: dict[str, Any]) -> ExitReport:
    """The end that `exit_to_json` was given. Raises KeyError, TypeError or ValueError for anything else."""
    failure = values["failure"]
    return ExitReport(**{**values, "failure": None if failure is None else Failure(failure)})
