"""From accepted requests to specifications. Nothing is checked here: the rules have found nothing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.aws.sagemaker.extension import PART_KEYS, Extension, plain, unpack
from tunewright.aws.sagemaker.limits import DEFAULT_MAX_JOBS
from tunewright.aws.sagemaker.parts import Part, metrics_in, parts_of, points_of, space_of
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.rules import combinations, hyperband_resources, replicates_of
from tunewright.aws.sagemaker.rules_training import DAY
from tunewright.core.space import Space
from tunewright.core.spec import (
    OBJECTIVE_KEY,
    Channel,
    Completion,
    Definition,
    Direction,
    Hyperband,
    InstanceGroup,
    Instances,
    JobSpec,
    Limits,
    MetricDefinition,
    Objective,
    Strategy,
    Training,
    WarmStart,
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How this service makes specifications: its mode, its grace, and where unasked-for seeds come from."""

    strict: bool
    stop_grace: float
    draw_seed: Callable[[], int]


def tuning_spec(request: Wire, sent: Wire, inherited: Sequence[MetricDefinition], manner: Manner) -> JobSpec:
    """A tuning job's specification.

    Args:
        request: CreateHyperParameterTuningJob, checked.
        sent: the same with locations as they were sent, to be shown.
        inherited: metric definitions for a warm-started request that has none.
    """
    config = request["HyperParameterTuningJobConfig"]
    parts = parts_of(request)
    strategy = Strategy(config["Strategy"])
    options: dict[str, str] = {}
    for part in parts:
        options.update({name: text for name, text in part.options.items() if name not in PART_KEYS})
    return JobSpec(
        name=request["HyperParameterTuningJobName"],
        definitions=tuple(_definition(part, inherited) for part in parts),
        strategy=strategy,
        limits=_limits(config["ResourceLimits"], strategy, parts, manner),
        completion=_completion(config.get("TuningJobCompletionCriteria", {})),
        early_stopping=config.get("TrainingJobEarlyStoppingType") == "Auto",
        hyperband=Hyperband(*hyperband_resources(request, parts)) if strategy is Strategy.HYPERBAND else None,
        warm_start=_warm_start(request.get("WarmStartConfig")),
        seed=config["RandomSeed"] if "RandomSeed" in config else manner.draw_seed(),
        strict=manner.strict,
        request=json.dumps(sent, allow_nan=False),
        options=options,
        stop_grace=manner.stop_grace,
    )


def training_spec(request: Wire, sent: Wire, manner: Manner) -> JobSpec:
    """A plain training job's specification: one trial, no strategy; arguments as in `tuning_spec`."""
    static = request.get("HyperParameters", {})
    extension = unpack(static)
    metrics = metrics_in(request.get("AlgorithmSpecification", {}), static)
    training = _training(request, plain(static), metrics, extension)
    return JobSpec(
        name=request["TrainingJobName"],
        definitions=(Definition(Space({}), None, training),),
        strategy=None,
        limits=Limits(max_parallel=1, max_jobs=1),
        strict=manner.strict,
        request=json.dumps(sent, allow_nan=False),
        options=extension.options,
        stop_grace=manner.stop_grace,
    )


def _definition(part: Part, inherited: Sequence[MetricDefinition]) -> Definition:
    asked = part.objective or {}
    hints = {hint["Name"]: hint["ValueHint"] for hint in part.ranges.get("AutoParameters", [])}
    static = {key: value for key, value in {**hints, **plain(part.static)}.items() if key != OBJECTIVE_KEY}
    metrics = part.metrics() or tuple(inherited)
    training = _training(part.body, static, metrics, unpack(part.static))
    objective = Objective(asked["MetricName"], Direction(asked["Type"]))
    return Definition(space_of(part), objective, training, part.body.get("DefinitionName"), points_of(part))


def _training(
    body: Wire, static: dict[str, str], metrics: tuple[MetricDefinition, ...], extension: Extension
) -> Training:
    specification = body.get("AlgorithmSpecification", {})
    input_mode = specification.get("TrainingInputMode", "File")
    checkpoint = body.get("CheckpointConfig", {})
    resources, offers = _resources(body), _offers(body)
    stopping = body.get("StoppingCondition", {})
    wait = stopping.get("MaxWaitTimeInSeconds")
    return Training(
        image=specification.get("TrainingImage"),
        algorithm=specification.get("AlgorithmName"),
        input_mode=input_mode,
        metrics=metrics,
        channels=tuple(_channel(channel, input_mode) for channel in body.get("InputDataConfig", [])),
        output_path=body["OutputDataConfig"]["S3OutputPath"],
        compression=body["OutputDataConfig"].get("CompressionType", "GZIP"),
        static=static,
        environment=body.get("Environment", {}),
        instance_type=offers[0].kind if offers else resources.get("InstanceType"),
        instance_count=offers[0].count if offers else resources.get("InstanceCount", 1),
        instance_groups=tuple(
            InstanceGroup(group["InstanceGroupName"], group["InstanceType"], group["InstanceCount"])
            for group in resources.get("InstanceGroups", [])
        ),
        alternatives=tuple(offers[1:]),
        isolated=body.get("EnableNetworkIsolation", False),
        max_runtime=float(stopping.get("MaxRuntimeInSeconds", DAY)),
        max_wait=None if wait is None else float(wait),
        spot=body.get("EnableManagedSpotTraining", False),
        retries=body.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        checkpoint_uri=checkpoint.get("S3Uri"),
        checkpoint_path=checkpoint.get("LocalPath", "/opt/ml/checkpoints"),
        entrypoint=tuple(specification.get("ContainerEntrypoint", [])),
        arguments=tuple(specification.get("ContainerArguments", [])),
        python=extension.python,
        function=extension.function,
        cpus=extension.cpus,
        gpus=extension.gpus,
    )


def _resources(body: Wire) -> Wire:
    """The resources in force: ResourceConfig, or the tuning form."""
    found: Wire = body.get("ResourceConfig") or body.get("HyperParameterTuningResourceConfig", {})
    return found


def _offers(body: Wire) -> list[Instances]:
    """The instances that are to be tried in their order; none when only one kind is asked for."""
    resources = _resources(body)
    listed = resources.get("InstancePreferences") or resources.get("InstanceConfigs", [])
    count = resources.get("InstanceCount", 1)
    return [Instances(each["InstanceType"], each.get("InstanceCount", count)) for each in listed]


def _channel(channel: Wire, input_mode: str) -> Channel:
    source: Any = channel["DataSource"]["S3DataSource"]
    return Channel(
        name=channel["ChannelName"],
        uri=source["S3Uri"],
        data_type=source["S3DataType"],
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        input_mode=channel.get("InputMode", input_mode),
        content_type=channel.get("ContentType"),
        compression=channel.get("CompressionType", "None"),
        record_wrapper=channel.get("RecordWrapperType", "None"),
        groups=tuple(source.get("InstanceGroupNames", [])),
        attributes=tuple(source.get("AttributeNames", [])),
        seed=channel.get("ShuffleConfig", {}).get("Seed"),
    )


def _limits(asked: Wire, strategy: Strategy, parts: Sequence[Part], manner: Manner) -> Limits:
    max_jobs = asked.get("MaxNumberOfTrainingJobs")
    if max_jobs is None and strategy is Strategy.GRID:
        size = combinations(parts)
        max_jobs = None if size is None else size * replicates_of(parts)
    runtime = asked.get("MaxRuntimeInSeconds")
    return Limits(
        max_parallel=asked["MaxParallelTrainingJobs"],
        max_jobs=DEFAULT_MAX_JOBS // replicates_of(parts) * replicates_of(parts) if max_jobs is None else max_jobs,
        max_runtime=None if runtime is None else float(runtime),
    )


def _completion(asked: Wire) -> Completion:
    return Completion(
        target=asked.get("TargetObjectiveMetricValue"),
        not_improving=asked.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
        on_convergence=asked.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled",
    )


def _warm_start(asked: Wire | None) -> WarmStart | None:
    if asked is None:
        return None
    return WarmStart(asked["WarmStartType"], parent_names(asked))


def parent_names(warm_start: Wire) -> tuple[str, ...]:
    """The parents that a WarmStartConfig names; one without a name is left out."""
    parents = warm_start["ParentHyperParameterTuningJobs"]
    return tuple(parent["HyperParameterTuningJobName"] for parent in parents if "HyperParameterTuningJobName" in parent)
