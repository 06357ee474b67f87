"""Operations on tuning jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from tunewright.aws.faults import invalid, tuning_exists, tuning_not_found
from tunewright.aws.sagemaker.autotune import expand
from tunewright.aws.sagemaker.locations import bucket_problems, in_s3
from tunewright.aws.sagemaker.paging import next_token, position
from tunewright.aws.sagemaker.protocol import Violation, Wire, has_structure
from tunewright.aws.sagemaker.rules import check_quotas, tuning_problems
from tunewright.aws.sagemaker.rules_warmstart import find_parents, inherited_metrics, warm_start_problems
from tunewright.aws.sagemaker.service import PAGE, Service, checked_tags
from tunewright.aws.sagemaker.translate_job import describe_job, job_summary
from tunewright.aws.sagemaker.translate_request import tuning_spec
from tunewright.aws.sagemaker.translate_trial import tuning_summary
from tunewright.core.errors import AlreadyExists, NotFound, StaleVersion, WrongState
from tunewright.core.events import StopAsked
from tunewright.core.job import Job, JobStatus
from tunewright.core.reads import JobQuery, JobView, TrialQuery
from tunewright.core.spec import IDENTICAL, JobSpec
from tunewright.core.trial import TrialStatus


class TuningOperations:
    """CreateHyperParameterTuningJob and its kin."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, request: Wire, violations: Sequence[Violation]) -> Wire:
        """CreateHyperParameterTuningJob.

        Args:
            violations: what is wrong with the request by the model.

        Raises:
            Fault: with all that is wrong, or the name is taken.
            LimitExceeded: a quota would be exceeded.
        """
        service = self._service
        if not has_structure(violations):
            raise invalid(violations)
        parents, problems = find_parents(request, service.reads)
        jobs = service.quotas["jobs"]
        sent = expand(request, None if jobs is None else jobs - _used(parents))
        request = in_s3(sent, service.endpoint)
        inherited = inherited_metrics(request, parents)
        problems += tuning_problems(request, service.objects, inherited, strict=service.strict)
        problems += bucket_problems(request, service.has_bucket)
        tags = checked_tags(request, violations, problems)
        spec = tuning_spec(request, sent, inherited, service.manner)
        problems = warm_start_problems(spec, request, parents)
        if problems:
            raise invalid((), problems)
        spec = self._within_quotas(spec, request, parents)
        try:
            stored = service.recorder.create(spec, tags)
        except AlreadyExists:
            raise tuning_exists(spec.name) from None
        service.wake(stored.job.uid)
        return {"HyperParameterTuningJobArn": service.arns.tuning(spec.name)}

    def _within_quotas(self, spec: JobSpec, request: Wire, parents: Sequence[Job]) -> JobSpec:
        """The spec, its number of jobs cut to the quota where the request left it open. Raises LimitExceeded."""
        used = _used(parents)
        config = request["HyperParameterTuningJobConfig"]
        open_ended = "MaxNumberOfTrainingJobs" not in config["ResourceLimits"] and config["Strategy"] != "Grid"
        wanted = 1 if open_ended else spec.limits.max_jobs or 1
        quotas = self._service.quotas
        running = self._service.reads.running() if quotas["running"] is not None else 0
        check_quotas(request, wanted, used, running, quotas)
        if open_ended and quotas["jobs"] is not None:
            return replace(spec, limits=replace(spec.limits, max_jobs=max(1, quotas["jobs"] - used)))
        return spec

    def describe(self, request: Wire) -> Wire:
        """DescribeHyperParameterTuningJob. Raises Fault for an unknown name."""
        view = self._view(request)
        best = self._summary(view.job)
        return describe_job(view.job, best, self._overall(view.job, best), self._service.now(), self._service.arns)

    def _view(self, request: Wire) -> JobView:
        name = request["HyperParameterTuningJobName"]
        try:
            return self._service.reads.job(name)
        except NotFound:
            raise tuning_not_found(name) from None

    def _summary(self, job: Job) -> Wire | None:
        """The summary of a job's best training job; None before there is one, or when it was deleted."""
        if job.best is None:
            return None
        try:
            found = self._service.reads.trial(job.best.name)
        except NotFound:
            return None
        # The name of a deleted training job may be another's by now.
        return tuning_summary(found, self._service.arns) if found.job_uid == job.uid else None

    def _overall(self, job: Job, best: Wire | None) -> Wire | None:
        """The best over a job and its parents, where data and algorithm are the same; of equal ones the earliest."""
        warm = job.spec.warm_start
        if warm is None or warm.type != IDENTICAL:
            return None
        found = [(job, best)]
        for name in warm.parents:
            with contextlib.suppress(NotFound):
                parent = self._service.reads.job(name).job
                found.append((parent, self._summary(parent)))
        ranked = [
            (job.spec.sign * each.best.value, summary["CreationTime"], {**summary, "TuningJobName": each.name})
            for each, summary in found
            if each.best is not None and summary is not None
        ]
        return min(ranked, key=lambda one: one[:2])[2] if ranked else None

    def list(self, request: Wire) -> Wire:
        """ListHyperParameterTuningJobs. Raises Invalid for another list's NextToken."""
        operation = "ListHyperParameterTuningJobs"
        status = request.get("StatusEquals")
        if status in ("Deleting", "DeleteFailed"):
            return {"HyperParameterTuningJobSummaries": []}
        page = self._service.reads.jobs(
            JobQuery(
                status=None if status is None else JobStatus(status),
                name_contains=request.get("NameContains"),
                created_after=request.get("CreationTimeAfter"),
                created_before=request.get("CreationTimeBefore"),
                modified_after=request.get("LastModifiedTimeAfter"),
                modified_before=request.get("LastModifiedTimeBefore"),
                sort=request.get("SortBy", "Name"),
                descending=request.get("SortOrder") == "Descending",
                limit=request.get("MaxResults", PAGE),
                after=position(operation, request),
            )
        )
        return {
            "HyperParameterTuningJobSummaries": [job_summary(view.job, self._service.arns) for view in page.items],
            "NextToken": next_token(operation, request, page.after),
        }

    def list_training_jobs(self, request: Wire) -> Wire:
        """ListTrainingJobsForHyperParameterTuningJob. Raises Fault and Invalid as `describe` and `list` do."""
        operation = "ListTrainingJobsForHyperParameterTuningJob"
        view = self._view(request)
        status = request.get("StatusEquals")
        if status == "Deleting":
            return {"TrainingJobSummaries": []}
        page = self._service.reads.trials(
            TrialQuery(
                job_uid=view.job.uid,
                status=None if status is None else TrialStatus(status),
                sort=request.get("SortBy", "Name"),
                descending=request.get("SortOrder") == "Descending",
                limit=request.get("MaxResults", PAGE),
                after=position(operation, request),
            )
        )
        return {
            "TrainingJobSummaries": [tuning_summary(trial, self._service.arns) for trial in page.items],
            "NextToken": next_token(operation, request, page.after),
        }

    def stop(self, request: Wire) -> Wire:
        """StopHyperParameterTuningJob. Raises WrongState for one that is not InProgress, and Fault as `describe`."""
        job = self._view(request).job
        if job.status is not JobStatus.IN_PROGRESS:
            text = f"The request was rejected because the tuning job {job.name} is already in status {job.status}."
            raise WrongState(text)
        self._service.recorder.record(job.uid, [StopAsked(self._service.now())])
        self._service.wake(job.uid)
        return {}

    def delete(self, request: Wire) -> Wire:
        """DeleteHyperParameterTuningJob. Raises WrongState for one that has not ended, and Fault as `describe`."""
        while True:
            view = self._view(request)
            job = view.job
            if not job.status.terminal:
                text = (
                    f"The tuning job {job.name} is not in a terminal state (it is {job.status});"
                    " stop it and wait until it has stopped."
                )
                raise WrongState(text)
            try:
                self._service.store.delete(job.uid, view.version)
            except StaleVersion:  # somebody wrote meanwhile: it may have been resumed
                continue
            return {}


def _used(parents: Sequence[Job]) -> int:
    """Training jobs of parents, which count against the limit of a job that starts from them."""
    return sum(parent.launched for parent in parents)
