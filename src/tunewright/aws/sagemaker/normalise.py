"""What Describe changes against the request, as the live service does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.parts import LISTS
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.rules_training import DAY
from tunewright.core.job import Job
from tunewright.core.spec import OBJECTIVE_KEY, Definition, MetricDefinition, Strategy

OBJECTIVE_METRIC = "ObjectiveMetric"
"""The name under which the service shows the objective once more."""
_SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


def normal_config(config: Wire, job: Job) -> Wire:
    """HyperParameterTuningJobConfig with its defaults filled in."""
    normal = {**config, "ResourceLimits": normal_limits(config, job)}
    normal.setdefault("TrainingJobEarlyStoppingType", "Off")
    # In the list form, be it a list of one, objectives and ranges stand in the definitions alone.
    if "HyperParameterTuningJobObjective" in config:
        normal["ParameterRanges"] = normal_ranges(config.get("ParameterRanges", {}))
    return normal


def normal_limits(config: Wire, job: Job) -> Wire:
    """ResourceLimits, with the number of training jobs that a grid amounts to, and with those that resuming added."""
    limits: Wire = config["ResourceLimits"]
    # One that was sent without a number has the quota's, which is nothing to tell, or none at all.
    more = job.added and "MaxNumberOfTrainingJobs" in limits
    other = job.spec.strategy is Strategy.GRID or more
    return {**limits, "MaxNumberOfTrainingJobs": job.budget} if other else limits


def normal_ranges(ranges: Wire) -> Wire:
    """The three lists, always, with ScalingType filled in; what else was sent follows."""
    lists: Wire = {}
    for kind in LISTS:
        numeric = kind != "CategoricalParameterRanges"
        lists[kind] = [{**entry, **_scaling(entry, numeric=numeric)} for entry in ranges.get(kind, [])]
    return {**lists, **{name: value for name, value in ranges.items() if name not in LISTS}}


def _scaling(entry: Wire, *, numeric: bool) -> Wire:
    return {"ScalingType": entry.get("ScalingType", "Auto")} if numeric else {}


def normal_definition(body: Wire, definition: Definition) -> Wire:
    """A HyperParameterTrainingJobDefinition as Describe returns it."""
    normal = {**body, **training_defaults(body)}
    objective = {OBJECTIVE_KEY: definition.objective.metric} if definition.objective else {}
    normal["StaticHyperParameters"] = {**body.get("StaticHyperParameters", {}), **objective}
    normal["AlgorithmSpecification"] = algorithm_specification(body["AlgorithmSpecification"], definition)
    normal["OutputDataConfig"] = without(body["OutputDataConfig"], "CompressionType")
    normal["StoppingCondition"] = without(normal["StoppingCondition"], "MaxPendingTimeInSeconds")
    if "InputDataConfig" in normal:
        normal["InputDataConfig"] = [_without_groups(channel) for channel in normal["InputDataConfig"]]
    if "HyperParameterRanges" in body:
        normal["HyperParameterRanges"] = normal_ranges(body["HyperParameterRanges"])
    resources = resource_config(body)
    if resources is not None:
        normal["ResourceConfig"] = resources
        normal.pop("HyperParameterTuningResourceConfig", None)
    return normal


def training_defaults(body: Wire) -> Wire:
    """Members that come back though they were not sent."""
    stopping = {"MaxRuntimeInSeconds": int(DAY), **body.get("StoppingCondition", {})}
    defaults: Wire = {"StoppingCondition": stopping}
    defaults |= {name: body.get(name, False) for name in _SWITCHES}
    if "InputDataConfig" in body:
        defaults["InputDataConfig"] = [_normal_channel(channel) for channel in body["InputDataConfig"]]
    return defaults


def _normal_channel(channel: Wire) -> Wire:
    source = {"S3DataDistributionType": "FullyReplicated", **channel["DataSource"]["S3DataSource"]}
    return {"CompressionType": "None", "RecordWrapperType": "None", **channel, "DataSource": {"S3DataSource": source}}


def _without_groups(channel: Wire) -> Wire:
    source = without(channel["DataSource"]["S3DataSource"], "InstanceGroupNames")
    return {**channel, "DataSource": {"S3DataSource": source}}


def algorithm_specification(body: Mapping[str, Any], definition: Definition) -> Wire:
    """AlgorithmSpecification with the metric definitions in force, and a built-in's name as an ARN."""
    normal = dict(body)
    normal["MetricDefinitions"] = [{"Name": m.name, "Regex": m.regex} for m in with_objective(definition)]
    return normal


def with_objective(definition: Definition) -> tuple[MetricDefinition, ...]:
    """The metric definitions, and once more the objective's under the name ObjectiveMetric."""
    metrics = definition.training.metrics
    objective = definition.objective.metric if definition.objective else None
    patterns = [metric.regex for metric in metrics if metric.name == objective]
    if not patterns or any(metric.name == OBJECTIVE_METRIC for metric in metrics):
        return metrics
    return (*metrics, MetricDefinition(OBJECTIVE_METRIC, patterns[0]))


def resource_config(body: Wire, choice: int | None = None, *, launched: bool = False) -> Wire | None:
    """ResourceConfig; the tuning form's flat fields come back under this name.

    Args:
        choice: which of several instances a training job is for; None for a definition.
        launched: whether it runs on them.
    """
    given: Wire | None = body.get("ResourceConfig")
    if given is not None:
        return {**given, **_selected(given, choice or 0)} if launched else given
    tuned: Wire = body.get("HyperParameterTuningResourceConfig", {})
    if "InstanceConfigs" in tuned:
        listed: list[Wire] = tuned["InstanceConfigs"]
        return None if choice is None else {**without(tuned, "AllocationStrategy", "InstanceConfigs"), **listed[choice]}
    return without(tuned, "AllocationStrategy") or None


def _selected(resources: Wire, choice: int) -> Wire:
    """What became of InstancePreferences; nothing where there are none."""
    listed: list[Wire] = resources.get("InstancePreferences", [])
    if not listed:
        return {}
    one = listed[choice]
    count = one.get("InstanceCount", resources.get("InstanceCount"))
    return {"SelectedInstanceType": one["InstanceType"], "SelectedInstanceCount": count}


def with_algorithm_arn(specification: Wire, arns: Arns) -> Wire:
    """AlgorithmName comes back as an ARN."""
    name = specification.get("AlgorithmName")
    if name is None or name.startswith("arn:"):
        return specification
    arn = f"arn:aws:sagemaker:{arns.region}:{arns.account}:algorithm/{name}"
    return {**specification, "AlgorithmName": arn}


def without(body: Mapping[str, Any], *names: str) -> Wire:
    return {name: value for name, value in body.items() if name not in names}
