"""One training job: its configuration, its state and what it reported."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from enum import StrEnum

from tunewright.core.space import Point


class TrialStatus(StrEnum):
    """AMT's training job status; Pending for a trial that is decided but not started, Paused for one that may go on."""

    PENDING = "Pending"
    RUNNING = "InProgress"
    STOPPING = "Stopping"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    STOPPED = "Stopped"
    FAILED = "Failed"

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self in _LIVE

    @property
    def shown(self) -> TrialStatus:
        """AMT's word for it: what has not ended and does not run (not started yet, or paused) is InProgress."""
        return TrialStatus.RUNNING if self in (TrialStatus.PENDING, TrialStatus.PAUSED) else self


_LIVE = frozenset({TrialStatus.PENDING, TrialStatus.RUNNING, TrialStatus.STOPPING, TrialStatus.PAUSED})


class ObjectiveStatus(StrEnum):
    """AMT's ObjectiveStatus: whether a training job brought a value that counts."""

    SUCCEEDED = "Succeeded"
    PENDING = "Pending"
    FAILED = "Failed"


class Phase(StrEnum):
    """AMT's SecondaryStatus."""

    STARTING = "Starting"
    PENDING = "Pending"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    INTERRUPTED = "Interrupted"
    RESTARTING = "Restarting"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    MAX_WAIT = "MaxWaitTimeExceeded"


MESSAGES = {
    Phase.STARTING: "Preparing the training job",
    Phase.DOWNLOADING: "Downloading input data",
    Phase.TRAINING: "Training in progress.",
    Phase.UPLOADING: "Uploading generated training model",
    Phase.COMPLETED: "Training job completed",
    Phase.RESTARTING: "Restarting the training job",
    Phase.STOPPING: "Stopping the training job",
}
"""AMT's StatusMessage of a secondary status, where nothing more is to be said."""


class StopCause(StrEnum):
    """Why a trial is being stopped before its program ended."""

    EARLY = "early stopping"
    MAX_RESOURCE = "reached its maximum resource"
    PAUSED = "paused at a rung"
    USER = "stopped by the user"
    ENDING = "the tuning job ended"
    MAX_RUNTIME = "ran for its MaxRuntimeInSeconds"
    MAX_WAIT = "waited and ran for its MaxWaitTimeInSeconds"


class Failure(StrEnum):
    """AMT's failure classes, used as FailureReason prefixes; only INTERNAL and INTERRUPTED may be retried."""

    ALGORITHM = "AlgorithmError"
    CLIENT = "ClientError"
    INTERNAL = "InternalServerError"
    INTERRUPTED = "Interrupted"
    CAPACITY = "CapacityError"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far each stream of a trial was read: bytes of complete lines already scraped."""

    stdout: int = 0
    stderr: int = 0
    metrics: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """One value that a trial emitted.

    Args:
        metric: its name.
        value: the number; may be NaN or infinite.
        at: seconds since the epoch when it was read.
        step: the epoch that `report(step=...)` named, or None.
    """

    metric: str
    value: float
    at: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A secondary status entered at a time; it ends when the next one begins."""

    phase: Phase
    at: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to Judge, with the numbers that were compared."""

    stop: bool
    why: str = ""
    value: float | None = None
    threshold: float | None = None
    cause: StopCause = StopCause.EARLY


@dataclass(frozen=True, slots=True)
class Trial:
    """A training job.

    Args:
        number: launch order within the job, from 1.
        name: the training job's name.
        definition: index into the spec's definitions.
        point: the tuned hyperparameters, native values.
        attempt: from 1; a retry is an attempt of the same training job.
        choice: which of the instances that may be tried in turn it runs on; 0 is the first.
        interruptions: attempts that ended because the machine or its service manager ended everything.
        resumptions: attempts that went on from where the trial had been paused.
        carried: earlier attempts whose curve the current one goes on with; 0 when it began anew.
        started: when the first attempt began.
        since: when the current attempt began; None while it waits, and once it is over.
        ran: seconds that earlier attempts ran; the wait between attempts is not in it.
        epoch: the largest epoch of the objective seen so far; 0 before the first.
        last: the last emitted objective, possibly NaN or infinite; None before the first.
        judged: the epoch up to which verdicts were given.
        cursor: how far its streams were scraped.
        note: what the scraper saw that explains a missing objective.
        reason: FailureReason, or why it was stopped.
        discarded: its model and checkpoints were removed, since others are better (`keep_best`).
    """

    number: int
    name: str
    point: Point
    created: float
    definition: int = 0
    status: TrialStatus = TrialStatus.PENDING
    attempt: int = 1
    choice: int = 0
    interruptions: int = 0
    resumptions: int = 0
    carried: int = 0
    handle: str | None = None
    started: float | None = None
    since: float | None = None
    ran: float = 0.0
    ended: float | None = None
    epoch: int = 0
    last: float | None = None
    judged: int = 0
    cursor: Cursor = Cursor()
    note: str = ""
    cause: StopCause | None = None
    failure: Failure | None = None
    exit_code: int | None = None
    reason: str = ""
    objective_reason: str = ""
    verdict: Verdict | None = None
    model: str = ""
    discarded: bool = False
    transitions: tuple[Transition, ...] = ()

    def runtime(self, now: float) -> float:
        """Seconds that its program has run, over all attempts."""
        return self.ran if self.since is None else self.ran + max(0.0, now - self.since)

    def entered(self, phase: Phase, at: float, message: str | None = None) -> Trial:
        """The trial in its next phase, with AMT's message for it unless another one is given."""
        told = MESSAGES.get(phase, str(phase)) if message is None else message
        return replace(self, transitions=(*self.transitions, Transition(phase, at, told)))

    @property
    def origin(self) -> int:
        """The attempt that its curve began with, under which all of the curve is kept."""
        return self.attempt - self.carried

    @property
    def value(self) -> float | None:
        """The final objective of an ended trial that counts, else None (AMT: the last emitted value)."""
        return self.last if self.objective_status is ObjectiveStatus.SUCCEEDED else None

    @property
    def objective_status(self) -> ObjectiveStatus:
        if self.status.live:
            return ObjectiveStatus.PENDING
        ended_well = self.status is not TrialStatus.FAILED
        finite = self.last is not None and math.isfinite(self.last)
        return ObjectiveStatus.SUCCEEDED if ended_well and finite else ObjectiveStatus.FAILED

    @property
    def diverged(self) -> bool:
        """Ended with a last objective that is NaN or infinite."""
        ended_well = self.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED)
        return ended_well and self.last is not None and not math.isfinite(self.last)

    @property
    def cut(self) -> bool:
        """Stopped, and not for what it showed."""
        return self.status is TrialStatus.STOPPED and self.cause not in (StopCause.EARLY, StopCause.MAX_RESOURCE)

    @property
    def artifacts(self) -> str:
        """The URI of its model; "" when there is none, or none any more."""
        return "" if self.discarded else self.model

    @property
    def phase(self) -> Phase:
        return self.transitions[-1].phase if self.transitions else Phase.STARTING


def trial_name(job: str, uid: str, number: int) -> str:
    """AMT's child name `<job>-<NNN>-<8 hex>`, at most 63 characters; the hex follows from the job's uid."""
    digest = hashlib.sha256(f"{uid}/{number}".encode()).hexdigest()[:8]
    tail = f"-{number:03d}-{digest}"
    return job[: 63 - len(tail)].rstrip("-") + tail
