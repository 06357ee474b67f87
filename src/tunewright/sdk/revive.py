"""Tuners and estimators out of the descriptions of existing jobs, without losing anything on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tunewright.aws.sagemaker.extension import TRAINING_KEYS
from tunewright.core.space import Parameter, Value, decode_value
from tunewright.core.spec import Function
from tunewright.sdk.configs import InstanceConfig, StrategyConfig, TuningJobCompletionCriteriaConfig, WarmStartConfig
from tunewright.sdk.estimators import EstimatorBase, visible
from tunewright.sdk.extensions import join_extension
from tunewright.sdk.functions import FUNCTION_IMAGE, FunctionEstimator
from tunewright.sdk.request import Part
from tunewright.sdk.rules import merged
from tunewright.sdk.scripts import AlgorithmEstimator, Estimator
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.training import TrainingJob
from tunewright.sdk.values import natives, ranges_from

ADDED_METRIC = "ObjectiveMetric"
_NUMBERED = re.compile(r"-\d{3,}-[0-9a-f]{8}$")
_FRESH = re.compile(r"-\d{6}-\d{4,6}(-[0-9a-f]{4})?$")


def tuner_arguments(job: Mapping[str, Any]) -> Shape:
    """A tuner's arguments by name, from DescribeHyperParameterTuningJob; the parts are `parts_of_job`."""
    config = job["HyperParameterTuningJobConfig"]
    limits = config.get("ResourceLimits", {})
    first = _definitions(job)[0]
    objective = config.get("HyperParameterTuningJobObjective") or first.get("TuningObjective") or {}
    extension = merged([join_extension(each.get("StaticHyperParameters", {}))[1] for each in _definitions(job)])
    return {
        "strategy": config["Strategy"],
        "objective_type": objective.get("Type", "Maximize"),
        "max_jobs": limits.get("MaxNumberOfTrainingJobs"),
        "max_parallel_jobs": limits.get("MaxParallelTrainingJobs", 1),
        "max_runtime_in_seconds": limits.get("MaxRuntimeInSeconds"),
        "base_tuning_job_name": base_of(job["HyperParameterTuningJobName"]),
        "warm_start_config": WarmStartConfig.from_job_desc(job.get("WarmStartConfig")),
        "strategy_config": StrategyConfig.from_job_desc(config.get("StrategyConfig")),
        "completion_criteria_config": TuningJobCompletionCriteriaConfig.from_job_desc(
            config.get("TuningJobCompletionCriteria")
        ),
        "early_stopping_type": config.get("TrainingJobEarlyStoppingType", "Off"),
        "random_seed": config.get("RandomSeed"),
        "autotune": job.get("Autotune", {}).get("Mode") == "Enabled",
        **{name: value for name, value in extension.items() if name not in TRAINING_KEYS},
    }


def parts_of_job(
    job: Mapping[str, Any],
    session: Session,
    classes: type[EstimatorBase] | Mapping[str, type[EstimatorBase]] | None = None,
) -> list[Part]:
    """A tuner's parts, from DescribeHyperParameterTuningJob; scaling types and metric definitions are kept."""
    config = job["HyperParameterTuningJobConfig"]
    parts: list[Part] = []
    for definition in _definitions(job):
        name = definition.get("DefinitionName") if "TrainingJobDefinitions" in job else None
        objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") or {}
        ranges = ranges_from(definition.get("HyperParameterRanges") or config.get("ParameterRanges", {}))
        kind = classes.get(name or "") if isinstance(classes, Mapping) else classes
        estimator = estimator_of(definition, session, kind, base_of(job["HyperParameterTuningJobName"]))
        kept = list(estimator.hyperparameters()) if job.get("Autotune") else None
        listed = definition.get("HyperParameterTuningResourceConfig", {}).get("InstanceConfigs", [])
        instances = [InstanceConfig.from_job_desc(each) for each in listed] or None
        metric = objective.get("MetricName")
        parts.append(Part(estimator, metric, ranges, name, keep_static=kept, instance_configs=instances))
    return parts


def base_of(name: str) -> str:
    """What the name of a job, or of a training job of a tuning job, was made from."""
    return _FRESH.sub("", _NUMBERED.sub("", name))


def estimator_of(
    definition: Mapping[str, Any],
    session: Session,
    kind: Callable[..., EstimatorBase] | None = None,
    base: str | None = None,
) -> EstimatorBase:
    """The estimator that a training job's definition was made from, as far as it can be told.

    Args:
        base: what the names of a function's jobs begin with; a definition names a function by its digest.
    """
    algorithm = definition.get("AlgorithmSpecification", {})
    static = definition.get("StaticHyperParameters", {})
    image = algorithm.get("TrainingImage") or algorithm.get("AlgorithmName", "")
    extension = join_extension(static)[1]
    options = _options(definition, extension)
    if image == FUNCTION_IMAGE:
        options["function"], options["base_job_name"] = _function(extension.get("function")), base
        return (kind or FunctionEstimator)(session=session, **options)
    if "sagemaker_program" in static:
        source = static.get("sagemaker_submit_directory")
        options["entry_point"] = str(decode_value(static["sagemaker_program"]))
        options["source_dir"] = None if source is None else str(decode_value(source))
        options["python"], options["image_uri"] = extension.get("python"), image
        return (kind or Estimator)(session=session, **options)
    return (kind or AlgorithmEstimator)(session=session, image_uri=image, **options)


def attach_training_job(name: str, session: Session) -> EstimatorBase:
    """An estimator that stands for an existing training job, whoever started it."""
    job = session.describe_training_job(name)
    definition = {**job, "StaticHyperParameters": job.get("HyperParameters", {})}
    estimator = estimator_of(definition, session, base=base_of(name))
    estimator.latest_training_job = TrainingJob(session, job["TrainingJobName"])
    return estimator


def hyperparameters_of(job: Mapping[str, Any], ranges: Mapping[str, Parameter]) -> dict[str, Value]:
    """A described training job's hyperparameters: tuned ones with their ranges' types, the others decoded."""
    texts = job.get("HyperParameters", {})
    tuned = natives(ranges, {name: text for name, text in texts.items() if name in ranges})
    return {**visible(texts), **tuned}


def _definitions(job: Mapping[str, Any]) -> list[Shape]:
    listed: list[Shape] | None = job.get("TrainingJobDefinitions")
    return listed if listed else [job.get("TrainingJobDefinition", {})]


def _function(value: object) -> Function | str:
    """The function that an extension names."""
    if not isinstance(value, dict):
        return ""
    return Function(str(value["reference"]), bool(value.get("pickled")), tuple(value.get("path", ())))


def _options(definition: Mapping[str, Any], extension: Mapping[str, object]) -> Shape:
    """The arguments that all estimators share."""
    algorithm = definition.get("AlgorithmSpecification", {})
    resources = definition.get("HyperParameterTuningResourceConfig") or definition.get("ResourceConfig") or {}
    checkpoints = definition.get("CheckpointConfig", {})
    metrics = [metric for metric in algorithm.get("MetricDefinitions", []) if metric["Name"] != ADDED_METRIC]
    return {
        "hyperparameters": visible(definition.get("StaticHyperParameters", {})),
        "metric_definitions": metrics,
        "environment": definition.get("Environment"),
        "output_path": definition.get("OutputDataConfig", {}).get("S3OutputPath"),
        "instance_count": resources.get("InstanceCount", 1),
        "instance_type": resources.get("InstanceType", "local"),
        "volume_size": resources.get("VolumeSizeInGB", 30),
        "input_mode": algorithm.get("TrainingInputMode", "File"),
        "max_run": definition.get("StoppingCondition", {}).get("MaxRuntimeInSeconds"),
        "checkpoint_s3_uri": checkpoints.get("S3Uri"),
        "checkpoint_local_path": checkpoints.get("LocalPath"),
        "max_retry_attempts": definition.get("RetryStrategy", {}).get("MaximumRetryAttempts"),
        "cpus": extension.get("cpus", 1),
        "gpus": extension.get("gpus", 0),
        "role": definition.get("RoleArn"),
    }
