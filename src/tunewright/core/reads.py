"""Read models: what faces ask about jobs and training jobs, and the Protocol that answers.

A store may be read while a job runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunewright.core.change import CurvePoint
from tunewright.core.events import Event
from tunewright.core.job import Job, JobStatus
from tunewright.core.ports import Owner
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial, TrialStatus


@dataclass(frozen=True, slots=True)
class JobQuery:
    """A filtered, sorted page of jobs; times are exclusive bounds in seconds since the epoch.

    Args:
        sort: `Name`, `Status` or `CreationTime`.
        after: the position that the last page ended with, opaque.
    """

    tuning: bool = True
    name_contains: str | None = None
    status: JobStatus | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    sort: str = "Name"
    descending: bool = False
    limit: int = 10
    after: str | None = None


@dataclass(frozen=True, slots=True)
class TrialQuery:
    """A filtered, sorted page of training jobs, of one tuning job or of all.

    Args:
        job_uid: only this job's trials; None for all training jobs.
        status: only this status; `Pending` and `InProgress` are the same.
        sort: `Name`, `Status`, `CreationTime` or `FinalObjectiveMetricValue` (leaves out trials without one).
        page_first: take the page before filtering by status (ListTrainingJobs' documented quirk).
    """

    job_uid: str | None = None
    status: TrialStatus | None = None
    name_contains: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    sort: str = "Name"
    descending: bool = False
    limit: int = 10
    after: str | None = None
    page_first: bool = False


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as read. `live` of the job holds its live trials."""

    job: Job
    version: int
    owner: Owner | None = None
    lease_until: float | None = None


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial with the job it belongs to; `spec` also when that tuning job was deleted."""

    trial: Trial
    job_uid: str
    job_name: str
    spec: JobSpec
    modified: float


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs in the order asked for; `after` is where the next page begins, None on the last one."""

    items: tuple[JobView, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class TrialPage:
    """Training jobs in the order asked for; `after` is where the next page begins, None on the last one."""

    items: tuple[TrialView, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric's last value in a training job."""

    metric: str
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a training job's log.

    Args:
        path: the file, for a person.
        text: its last lines, decoded with replacement.
        extra: the last lines of other streams by their name: `stdout` where `text` is standard error's.
    """

    path: str
    text: str
    extra: Mapping[str, str] = field(default_factory=dict)


class Reads(Protocol):
    """What faces, plots and pages may look at. Never blocks a run."""

    def job(self, name: str, *, tuning: bool = True) -> JobView:
        """Raises NotFound."""
        ...

    def jobs(self, query: JobQuery) -> JobPage:
        """A page of jobs. Raises Invalid for a sort or a position that is none."""
        ...

    def running(self) -> int:
        """How many tuning jobs have not ended."""
        ...

    def trial(self, name: str) -> TrialView:
        """A training job by name, whether of a tuning job or plain. Raises NotFound."""
        ...

    def trials(self, query: TrialQuery) -> TrialPage:
        """A page of training jobs. Raises Invalid for a sort or a position that is none."""
        ...

    def all_trials(self, job_uid: str, *, deleted: bool = False) -> list[TrialView]:
        """Every trial of a job in launch order; with `deleted` those too that were dropped from it."""
        ...

    def metrics(self, name: str) -> list[MetricValue]:
        """The last value of each metric of a training job, in order of first appearance."""
        ...

    def final_metrics(self, views: Sequence[TrialView]) -> dict[int, list[MetricValue]]:
        """The same of many training jobs of one job, by number; those without any value are left out."""
        ...

    def metric_names(self, job_uid: str) -> list[str]:
        """Every metric but the objectives that a training job of this job has brought a value of, sorted."""
        ...

    def points(self, views: Sequence[TrialView]) -> dict[int, list[CurvePoint]]:
        """As `curve`, of all metrics and many training jobs of one job, by number; all of it is in memory at once."""
        ...

    def curve(self, name: str, metric: str | None = None) -> list[CurvePoint]:
        """The points of a training job, of one metric or of all, in order of emission (its latest attempt)."""
        ...

    def journal(self, job_uid: str) -> list[Event]:
        """All events of a job in the order in which they were committed. Raises NotFound."""
        ...
