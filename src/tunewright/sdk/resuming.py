"""Going on with tuning jobs that have ended or that nobody runs: when it cannot be done, and doing it in process."""

from __future__ import annotations

import os

from tunewright.core.errors import WrongState
from tunewright.core.job import Job, JobStatus
from tunewright.core.replicates import budget_problem
from tunewright.core.space import decode_value
from tunewright.objects.uri import FileName, parse
from tunewright.sdk.arguments import whole_problems
from tunewright.sdk.errors import InvalidArguments
from tunewright.sdk.session import Session


def resume(session: Session, name: str, add_jobs: int) -> bool:
    """Go on with a tuning job in this process, unless somebody runs it already; whether this process took it on.

    Raises:
        InvalidArguments: `add_jobs` is no whole number >= 0.
        WrongState: the job cannot be resumed, or is a server's.
        NotFound: there is no such job.
    """
    if problems := whole_problems({"add_jobs": (add_jobs, 0)}):
        raise InvalidArguments(problems)
    if session.local is None:
        session.describe(name)  # a job that is not there is told of first
        text = (
            f"The tuning job {name!r} is a server's, and its API knows no resuming; start a new tuning job with a warm"
            " start from it, such as tuner.identical_dataset_and_algorithm_tuner(), or resume it on the server's"
            f" machine: tunewright resume {name}"
        )
        raise WrongState(text)
    view = session.local.reads.job(name)
    if refusal := cannot_resume(view.job, add_jobs):
        raise WrongState(refusal)
    if not view.job.status.terminal and session.local.in_charge(view):
        return False
    session.local.resume(name, int(add_jobs))
    return True


def cannot_resume(job: Job, add_jobs: int) -> str:
    """Why a job cannot be resumed, or nothing."""
    if job.status is JobStatus.FAILED:
        return f"The tuning job {job.name!r} has Failed, which cannot be resumed; run it again under another name."
    if job.spec.strict and job.status.terminal:
        return (
            f"The tuning job {job.name!r} is {job.status} and was made in strict mode, where AMT knows no resuming;"
            " start a new tuning job with a warm start from it."
        )
    if add_jobs and not job.status.terminal:
        return f"The tuning job {job.name!r} is {job.status}; training jobs can be added when it has ended."
    if problem := budget_problem(add_jobs, job.spec.replicates):
        return f"add_jobs: {problem}"
    return _without_source(job)


def _without_source(job: Job) -> str:
    """What to do when the code of a job is not where it was, as when its home was moved; else nothing."""
    for definition in job.spec.definitions:
        uri = str(decode_value(definition.training.static.get("sagemaker_submit_directory", "")))
        name = parse(uri) if uri.startswith("file://") else None
        if isinstance(name, FileName) and not os.path.exists(name.path):
            return (
                f"The source of the tuning job {job.name!r} is not at {name.path} any more, and each further training"
                " job would fail. If the directory was moved, put it or a symbolic link back there."
            )
    return ""
