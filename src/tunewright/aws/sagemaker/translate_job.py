"""From tuning jobs as read to DescribeHyperParameterTuningJob and the summaries of the list."""

from __future__ import annotations

import json

from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.normalise import normal_config, normal_definition, normal_limits, with_algorithm_arn
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.core.job import Job, JobStatus


def job_summary(job: Job, arns: Arns) -> Wire:
    """HyperParameterTuningJobSummary."""
    request: Wire = json.loads(job.spec.request)
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": arns.tuning(job.name),
        "HyperParameterTuningJobStatus": str(job.status),
        "Strategy": str(job.spec.strategy),
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": job.ended,
        "LastModifiedTime": job.updated,
        "TrainingJobStatusCounters": status_counters(job),
        "ObjectiveStatusCounters": objective_counters(job),
        "ResourceLimits": normal_limits(request["HyperParameterTuningJobConfig"], job),
    }


def describe_job(job: Job, best: Wire | None, overall: Wire | None, now: float, arns: Arns) -> Wire:
    """DescribeHyperParameterTuningJob.

    Args:
        best: the summary of the best training job, None before there is one.
        overall: the same over this job and its parents, for IdenticalDataAndAlgorithm.
    """
    request: Wire = json.loads(job.spec.request)
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": arns.tuning(job.name),
        "HyperParameterTuningJobConfig": normal_config(request["HyperParameterTuningJobConfig"], job),
        **_definitions(request, job, arns),
        "HyperParameterTuningJobStatus": str(job.status),
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": job.ended,
        "LastModifiedTime": job.updated,
        "TrainingJobStatusCounters": status_counters(job),
        "ObjectiveStatusCounters": objective_counters(job),
        "BestTrainingJob": best,
        "OverallBestTrainingJob": overall,
        "WarmStartConfig": request.get("WarmStartConfig"),
        "Autotune": request.get("Autotune"),
        "FailureReason": job.reason[:1024] if job.status is JobStatus.FAILED and job.reason else None,
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": job.not_improving,
            "ConvergenceDetectedTime": job.converged_at,
        },
        "ConsumedResources": {"RuntimeInSeconds": int(job.runtime(now))},
    }


def _definitions(request: Wire, job: Job, arns: Arns) -> Wire:
    """The form that was created, with what the service fills in."""
    single = "TrainingJobDefinition" in request
    bodies = [request["TrainingJobDefinition"]] if single else request["TrainingJobDefinitions"]
    normal = []
    for body, definition in zip(bodies, job.spec.definitions, strict=True):
        described = normal_definition(body, definition)
        described["AlgorithmSpecification"] = with_algorithm_arn(described["AlgorithmSpecification"], arns)
        normal.append(described)
    return {"TrainingJobDefinition": normal[0]} if single else {"TrainingJobDefinitions": normal}


def status_counters(job: Job) -> Wire:
    """All five, always; their sum is the number of training jobs launched."""
    return {
        "Completed": job.counters.completed,
        "InProgress": job.unfinished,
        "RetryableError": job.counters.retryable,
        "NonRetryableError": job.counters.non_retryable,
        "Stopped": job.counters.stopped,
    }


def objective_counters(job: Job) -> Wire:
    return {
        "Succeeded": job.counters.succeeded,
        "Pending": job.unfinished,
        "Failed": job.counters.objective_failed,
    }
