"""A job's state: counters, the best, the next number and the live trials, and nothing that grows with the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tunewright.core.replicates import Best, Group
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Failure, ObjectiveStatus, Trial, TrialStatus

__all__ = ["SPARE_SECONDS", "Best", "Counters", "Ending", "Group", "Job", "JobStatus", "standing"]


class JobStatus(StrEnum):
    """AMT's HyperParameterTuningJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    STOPPED = "Stopped"
    FAILED = "Failed"

    @property
    def terminal(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.STOPPED, JobStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Counters:
    """Ended trials by outcome. Live ones are counted from the job's live trials."""

    completed: int = 0
    stopped: int = 0
    retryable: int = 0
    non_retryable: int = 0
    succeeded: int = 0
    objective_failed: int = 0

    def add(self, trial: Trial) -> Counters:
        """The counters after this trial ended."""
        good = trial.objective_status is ObjectiveStatus.SUCCEEDED
        counts = replace(
            self,
            succeeded=self.succeeded + good,
            objective_failed=self.objective_failed + (not good),
        )
        if trial.status is TrialStatus.COMPLETED:
            return replace(counts, completed=self.completed + 1)
        if trial.status is TrialStatus.STOPPED:
            return replace(counts, stopped=self.stopped + 1)
        if trial.failure in (Failure.INTERNAL, Failure.INTERRUPTED, Failure.CAPACITY):
            return replace(counts, retryable=self.retryable + 1)
        return replace(counts, non_retryable=self.non_retryable + 1)

    @property
    def ended(self) -> int:
        return self.completed + self.stopped + self.retryable + self.non_retryable


@dataclass(frozen=True, slots=True)
class Ending:
    """A decision to end: nothing is proposed any more and live trials are stopped.

    Args:
        status: what the job becomes when the last live trial is gone.
        why: in words.
        at: when it was decided.
        spared: the trial that reached the target; it may finish by itself for `SPARE_SECONDS`.
    """

    status: JobStatus
    why: str
    at: float
    spared: int | None = None


SPARE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """A tuning job (or a plain training job) at one moment.

    Args:
        updated: the time of the last event that changed it.
        since: when the current stretch of running began; `ran` holds the seconds of earlier stretches.
        added: training jobs granted beyond the spec's limit, by resuming.
        granted: seconds granted beyond the spec's run time: resuming a job that had used it up begins it anew.
        attempts: ended trials that count for the five-attempts rule and brought no success.
        live: trials that run, are about to, or are being stopped; each takes one of the places.
        paused: trials that were stopped at a rung and may go on from their checkpoints.
        news: verdicts, ends and promotions so far, where trials may be paused; what may go on changes with them alone.
        searched: the news at which none of the paused ones was found fit to go on.
        groups: with replicates, the configurations some of whose trials have ended and some have not, by number.
        kept: with `keep_best`, the ended trials whose models stay for now.
        dropped: ended trials whose models are to be removed.
        not_improving: ended trials with a value since the best improved by 1 %.
        hint: the reason of the latest failed trial, or of a diverged one while none failed, for the job's own
            FailureReason.
    """

    uid: str
    spec: JobSpec
    created: float
    updated: float
    since: float
    status: JobStatus = JobStatus.IN_PROGRESS
    ending: Ending | None = None
    ended: float | None = None
    ran: float = 0.0
    added: int = 0
    granted: float = 0.0
    next_number: int = 1
    live: Mapping[int, Trial] = field(default_factory=dict)
    paused: Mapping[int, Trial] = field(default_factory=dict)
    news: int = 0
    searched: int | None = None
    counters: Counters = Counters()
    best: Best | None = None
    groups: Mapping[int, Group] = field(default_factory=dict)
    kept: Mapping[int, Trial] = field(default_factory=dict)
    dropped: Mapping[int, Trial] = field(default_factory=dict)
    exhausted: bool = False
    attempts: int = 0
    not_improving: int = 0
    converged_at: float | None = None
    reason: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def launched(self) -> int:
        """Trials that exist."""
        return self.next_number - 1

    @property
    def budget(self) -> int | None:
        """Training jobs allowed in all, or None for no limit."""
        if not self.spec.tuning:
            return 1
        return None if self.spec.limits.max_jobs is None else self.spec.limits.max_jobs + self.added

    def runtime(self, now: float) -> float:
        """Seconds of wall clock that the job has been running."""
        return self.ran if self.status.terminal else self.ran + max(0.0, now - self.since)

    @property
    def unfinished(self) -> int:
        """Trials that have not ended."""
        return len(self.live) + len(self.paused)

    @property
    def unsearched(self) -> bool:
        """Whether one of the paused trials may be fit to go on, for all that is known."""
        return bool(self.paused) and self.searched != self.news

    def places(self) -> int:
        """How many more trials may run now."""
        if self.status.terminal or self.ending:
            return 0
        return max(0, self.spec.limits.max_parallel - len(self.live))

    def room(self) -> int:
        """How many trials may be proposed now."""
        if self.exhausted:
            return 0
        places = self.places()
        return places if self.budget is None else max(0, min(places, self.budget - self.launched))


def standing(trials: Iterable[Trial]) -> dict[str, dict[int, Trial]]:
    """A job's trials that have not ended, as `live` and `paused`, by number."""
    found: dict[str, dict[int, Trial]] = {"live": {}, "paused": {}}
    for trial in trials:
        found["paused" if trial.status is TrialStatus.PAUSED else "live"][trial.number] = trial
    return found
