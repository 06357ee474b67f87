"""What the Python face raises and warns of."""

from __future__ import annotations

from tunewright.core.errors import Invalid, TunewrightError
from tunewright.core.reads import LogTail


class InvalidArguments(Invalid, ValueError):
    """Arguments of a tuner or an estimator break one or more rules; `problems` lists all of them."""


class NoBestTrainingJob(TunewrightError):
    """No training job of this tuning job has brought a value yet, or the one that had the best was deleted.

    Args:
        succeeded: how many have brought one.
    """

    def __init__(self, name: str, status: str, succeeded: int = 0) -> None:
        self.name, self.status = name, status
        why = (
            "it was deleted. Look at those that are left with analytics().dataframe()."
            if succeeded
            else "no training job has a value of the objective yet. Wait for the first one to finish, or look at the"
            " failures with analytics().dataframe()."
        )
        super().__init__(f"Best training job not available for tuning job {name!r} ({status}): {why}")


class NotStarted(TunewrightError):
    """The tuner or estimator has started nothing yet, so there is nothing to look at."""

    def __init__(self, what: str) -> None:
        super().__init__(f"This {what} has started no job yet. Call fit() first, or attach() to an existing job.")


class JobFailed(TunewrightError):
    """A job ended with status Failed.

    Args:
        name: the tuning job or training job.
        reason: its FailureReason.
        training_job: the training job that the log belongs to, or None.
        log: the end of that training job's log, or None when there is none.
    """

    kind = "job"

    def __init__(self, name: str, reason: str, training_job: str | None = None, log: LogTail | None = None) -> None:
        self.name, self.reason, self.training_job, self.log = name, reason, training_job, log
        lines = [f"The {self.kind} {name!r} failed: {reason or 'no reason was given'}"]
        if log is not None and log.text.strip():
            owner = f" of training job {training_job}" if training_job and training_job != name else ""
            lines += [f"The end of the log{owner}:", *(f"    {line}" for line in log.text.rstrip().splitlines())]
        if log is not None and log.path:
            lines.append(f"The whole log: {log.path}")
        super().__init__("\n".join(lines))


class TuningJobFailed(JobFailed):
    """A tuning job ended with status Failed."""

    kind = "tuning job"


class TrainingJobFailed(JobFailed):
    """A training job ended with status Failed."""

    kind = "training job"
