"""Operations on training jobs, whether of a tuning job or plain."""

from __future__ import annotations

from collections.abc import Sequence

from tunewright.aws.faults import TRAINING_NOT_FOUND, Fault, invalid, training_exists
from tunewright.aws.sagemaker.locations import bucket_problems, in_s3
from tunewright.aws.sagemaker.paging import next_token, position
from tunewright.aws.sagemaker.protocol import Violation, Wire, has_structure
from tunewright.aws.sagemaker.rules_training import training_problems
from tunewright.aws.sagemaker.service import PAGE, Service, checked_tags
from tunewright.aws.sagemaker.translate_request import training_spec
from tunewright.aws.sagemaker.translate_trial import describe_trial, plain_summary, wire_status
from tunewright.core.errors import AlreadyExists, NotFound, WrongState
from tunewright.core.events import TrialStopAsked
from tunewright.core.reads import TrialQuery, TrialView
from tunewright.core.trial import TrialStatus


class TrainingOperations:
    """CreateTrainingJob and its kin."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, request: Wire, violations: Sequence[Violation]) -> Wire:
        """CreateTrainingJob.

        Args:
            violations: what is wrong with the request by the model.

        Raises:
            Fault: with all that is wrong, or the name is taken.
        """
        service = self._service
        if not has_structure(violations):
            raise invalid(violations)
        static = request.get("HyperParameters", {})
        sent, request = request, in_s3(request, service.endpoint)
        problems = list(training_problems("", request, static, service.objects, strict=service.strict))
        problems += bucket_problems(request, service.has_bucket)
        tags = checked_tags(request, violations, problems)
        spec = training_spec(request, sent, service.manner)
        arn = service.arns.training(spec.name)
        try:
            stored = service.recorder.create(spec, tags)
        except AlreadyExists:
            raise training_exists(arn) from None
        service.wake(stored.job.uid)
        return {"TrainingJobArn": arn}

    def describe(self, request: Wire) -> Wire:
        """DescribeTrainingJob. Raises Fault for an unknown name."""
        view = self._view(request)
        return describe_trial(view, self._service.reads.metrics(view.trial.name), self._service.arns)

    def _view(self, request: Wire) -> TrialView:
        try:
            return self._service.reads.trial(request["TrainingJobName"])
        except NotFound:
            raise Fault("ValidationException", TRAINING_NOT_FOUND) from None

    def list(self, request: Wire) -> Wire:
        """ListTrainingJobs. Raises Invalid for another list's NextToken."""
        operation = "ListTrainingJobs"
        status = request.get("StatusEquals")
        if status == "Deleting" or "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
            return {"TrainingJobSummaries": []}
        # With both, AMT takes MaxResults of the newest first, whatever their status, and then looks at the status.
        page_first = "MaxResults" in request and status is not None
        order = request.get("SortOrder", "Ascending" if "SortBy" in request or not page_first else "Descending")
        page = self._service.reads.trials(
            TrialQuery(
                status=None if status is None else TrialStatus(status),
                name_contains=request.get("NameContains"),
                created_after=request.get("CreationTimeAfter"),
                created_before=request.get("CreationTimeBefore"),
                modified_after=request.get("LastModifiedTimeAfter"),
                modified_before=request.get("LastModifiedTimeBefore"),
                sort=request.get("SortBy", "CreationTime"),
                descending=order == "Descending",
                limit=request.get("MaxResults", PAGE),
                after=position(operation, request),
                page_first=page_first,
            )
        )
        return {
            "TrainingJobSummaries": [plain_summary(view, self._service.arns) for view in page.items],
            "NextToken": next_token(operation, request, page.after),
        }

    def stop(self, request: Wire) -> Wire:
        """StopTrainingJob. Raises WrongState for one that has ended, and Fault as `describe`."""
        view = self._view(request)
        if not view.trial.status.live:
            status = wire_status(view.trial)
            text = f"The request was rejected because the training job is in status {status}."
            raise WrongState(text)
        self._service.recorder.record(view.job_uid, [TrialStopAsked(self._service.now(), view.trial.number)])
        self._service.wake(view.job_uid)
        return {}

    def delete(self, request: Wire) -> Wire:
        """DeleteTrainingJob. Raises Fault for one that has not ended, and as `describe`."""
        view = self._view(request)
        if view.trial.status.live:
            status = wire_status(view.trial)
            text = f"The training job {view.trial.name} is in status {status}; stop it and wait until it has stopped."
            raise Fault("ResourceInUse", text)
        if view.spec.tuning:
            self._service.store.delete_trial(view.job_uid, view.trial.number)
        else:
            self._service.store.delete(view.job_uid)
        return {}
