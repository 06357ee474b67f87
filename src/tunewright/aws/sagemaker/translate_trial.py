"""From training jobs as read to DescribeTrainingJob and the summaries of the lists."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from tunewright.aws.sagemaker.extension import plain
from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.normalise import (
    OBJECTIVE_METRIC,
    algorithm_specification,
    resource_config,
    training_defaults,
    with_objective,
)
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.core.reads import MetricValue, TrialView
from tunewright.core.spec import OBJECTIVE_KEY
from tunewright.core.trial import Phase, Transition, Trial, TrialStatus

SHOWN_METRICS = 40


def wire_status(trial: Trial) -> str:
    """AMT's TrainingJobStatus: a training job that is not started yet, or paused, is InProgress."""
    return str(trial.status.shown)


def tuning_summary(view: TrialView, arns: Arns) -> Wire:
    """HyperParameterTrainingJobSummary: a training job as its tuning job sees it."""
    trial, definition = view.trial, view.spec.definitions[view.trial.definition]
    summary: Wire = {
        "TrainingJobDefinitionName": definition.name,
        "TrainingJobName": trial.name,
        "TrainingJobArn": arns.training(trial.name),
        "CreationTime": trial.created,
        "TrainingStartTime": start_time(trial),
        "TrainingEndTime": trial.ended,
        "TrainingJobStatus": wire_status(trial),
        "TunedHyperParameters": definition.space.texts(trial.point),
        "FailureReason": failure_reason(trial),
        "ObjectiveStatus": str(trial.objective_status),
    }
    if trial.value is not None and definition.objective is not None:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": None if definition.name is None else str(definition.objective.direction),
            "MetricName": definition.objective.metric,
            "Value": trial.value,
        }
    return summary


def plain_summary(view: TrialView, arns: Arns) -> Wire:
    """TrainingJobSummary: a training job in ListTrainingJobs."""
    trial = view.trial
    return {
        "TrainingJobName": trial.name,
        "TrainingJobArn": arns.training(trial.name),
        "CreationTime": trial.created,
        "TrainingEndTime": trial.ended,
        "LastModifiedTime": view.modified,
        "TrainingJobStatus": wire_status(trial),
        "SecondaryStatus": str(trial.phase),
    }


def describe_trial(view: TrialView, metrics: Sequence[MetricValue], arns: Arns) -> Wire:
    """DescribeTrainingJob.

    Args:
        metrics: the last value of each metric.
    """
    trial = view.trial
    request: Wire = json.loads(view.spec.request)
    body = definition_body(request, trial.definition) if view.spec.tuning else request
    return {
        **training_defaults(body),
        **_inherited(body),
        **_times(view),
        "TrainingJobName": trial.name,
        "TrainingJobArn": arns.training(trial.name),
        "TuningJobArn": arns.tuning(view.job_name) if view.spec.tuning else None,
        "ModelArtifacts": {"S3ModelArtifacts": trial.artifacts},
        "TrainingJobStatus": wire_status(trial),
        "SecondaryStatus": str(trial.phase),
        "FailureReason": failure_reason(trial),
        "HyperParameters": _hyperparameters(view, body),
        "AlgorithmSpecification": _algorithm(view, body),
        "OutputDataConfig": {"KmsKeyId": "", **body["OutputDataConfig"]},
        "ResourceConfig": resource_config(body, trial.choice, launched=trial.handle is not None),
        "SecondaryStatusTransitions": _transitions(trial.transitions),
        "FinalMetricDataList": final_metrics(view, metrics)[:SHOWN_METRICS] or None,
    }


def definition_body(request: Wire, index: int) -> Wire:
    """The definition of a tuning request that a training job belongs to."""
    single: Wire | None = request.get("TrainingJobDefinition")
    return single if single is not None else request["TrainingJobDefinitions"][index]


def _inherited(body: Mapping[str, object]) -> Wire:
    kept = ("RoleArn", "VpcConfig", "CheckpointConfig", "Environment", "RetryStrategy")
    own = (
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "TensorBoardOutputConfig",
        "ExperimentConfig",
        "ProfilerConfig",
        "ProfilerRuleConfigurations",
        "RemoteDebugConfig",
        "InfraCheckConfig",
        "ServerlessJobConfig",
        "MlflowConfig",
        "ModelPackageConfig",
    )
    return {name: body[name] for name in (*kept, *own) if name in body}


def _hyperparameters(view: TrialView, body: Wire) -> dict[str, str]:
    """What the program is given; for a plain training job what was sent."""
    if not view.spec.tuning:
        sent: dict[str, str] = body.get("HyperParameters", {})
        return sent
    definition = view.spec.definitions[view.trial.definition]
    injected = {OBJECTIVE_KEY: definition.objective.metric} if definition.objective else {}
    return {**plain(definition.training.static), **definition.space.texts(view.trial.point), **injected}


def _algorithm(view: TrialView, body: Wire) -> Wire:
    definition = view.spec.definitions[view.trial.definition]
    specification = algorithm_specification(body.get("AlgorithmSpecification", {}), definition)
    return {"EnableSageMakerMetricsTimeSeries": False, **specification}


def start_time(trial: Trial) -> float | None:
    """TrainingStartTime is the start of Downloading; of a program that never got there, its launch."""
    downloads = (change.at for change in trial.transitions if change.phase is Phase.DOWNLOADING)
    return next(downloads, trial.started)


def failure_reason(trial: Trial) -> str | None:
    return trial.reason[:1024] if trial.status is TrialStatus.FAILED and trial.reason else None


def _times(view: TrialView) -> Wire:
    trial, started = view.trial, start_time(view.trial)
    times: Wire = {
        "CreationTime": trial.created,
        "TrainingStartTime": started,
        "TrainingEndTime": trial.ended,
        "LastModifiedTime": view.modified,
    }
    if started is not None and trial.ended is not None:
        seconds = max(1, math.ceil(trial.ended - started))
        # What is used while nothing runs is nothing: the wait between attempts is not billed.
        used = max(1, math.ceil(trial.ran))
        times |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": min(seconds, used)}
    return times


def _transitions(transitions: Sequence[Transition]) -> list[Wire]:
    """One row per status entered; each ends when the next begins, the terminal one at once."""
    rows = []
    for number, change in enumerate(transitions):
        last = number == len(transitions) - 1
        end = (change.at if change.phase in _TERMINAL else None) if last else transitions[number + 1].at
        message = _SAID.get(change.message, change.message) or str(change.phase)
        row = {"Status": str(change.phase), "StartTime": change.at, "EndTime": end, "StatusMessage": message}
        rows.append(row)
    return rows


_SAID = {
    "Preparing the training job": "Preparing the instances for training",
    "Training in progress.": "Training image download completed. Training in progress.",
}
"""AMT's words for what goes on here without instances and images; users know them from their logs."""

_TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.STOPPED, Phase.MAX_RUNTIME, Phase.MAX_WAIT})


def final_metrics(view: TrialView, metrics: Iterable[MetricValue]) -> list[Wire]:
    """The last finite value of each metric, the objective once more as ObjectiveMetric."""
    definition = view.spec.definitions[view.trial.definition]
    finite = [metric for metric in metrics if math.isfinite(metric.value)]
    listed = [{"MetricName": m.metric, "Value": m.value, "Timestamp": m.at} for m in finite]
    named = {metric.name for metric in with_objective(definition)}
    objective = definition.objective.metric if definition.objective else None
    if OBJECTIVE_METRIC in named and all(entry["MetricName"] != OBJECTIVE_METRIC for entry in listed):
        listed += [{**entry, "MetricName": OBJECTIVE_METRIC} for entry in listed if entry["MetricName"] == objective]
    return listed
