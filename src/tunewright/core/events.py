"""The closed union of all that can happen to a job. Each carries `at`, seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tunewright.core.space import Point
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Cursor, Failure, Observation, Phase, Verdict


@dataclass(frozen=True, slots=True)
class Created:
    """A job was accepted. `uid` identifies it for ever, also when its name is used again later."""

    at: float
    uid: str
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration for the trial with this number."""

    number: int
    point: Point
    definition: int = 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """A strategy's answer. `exhausted` says aloud that there is nothing left to propose."""

    at: float
    proposals: tuple[Proposal, ...]
    exhausted: bool = False
    converged: bool = False


@dataclass(frozen=True, slots=True)
class Promotion:
    """A paused trial that goes on, with the numbers that were compared."""

    number: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Promoted:
    """Which paused trials go on, best first; none of them when there are none.

    Args:
        news: the job's news that this rests on; with other news the event is stale.
    """

    at: float
    news: int
    promotions: tuple[Promotion, ...] = ()


@dataclass(frozen=True, slots=True)
class Launched:
    """A trial's attempt was started, on the instances of `choice` (see `Trial`)."""

    at: float
    number: int
    attempt: int
    handle: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Progressed:
    """A trial entered a secondary status (Downloading, Training, Uploading)."""

    at: float
    number: int
    attempt: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Reported:
    """Values were read from a trial's streams between two cursors.

    Args:
        since: the cursor that reading began at; another one makes the event stale.
        cursor: where the next reading begins.
        note: what explains a missing objective so far, or "".
    """

    at: float
    number: int
    attempt: int
    since: Cursor
    cursor: Cursor
    observations: tuple[Observation, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on the curve up to epoch `upto`."""

    at: float
    number: int
    attempt: int
    upto: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Exited:
    """A trial's program is gone.

    Args:
        at: when it was noticed or, where known, when it ended.
        exit_code: the program's exit code, negative for a signal, None when it never started or was lost.
        failure: the class of what went wrong; None when the program ended with 0.
        reason: FailureReason without its prefix.
        model: URI of model.tar.gz.
        killed: the executor ended it on our demand (or it never started because of that).
    """

    at: float
    number: int
    attempt: int
    exit_code: int | None
    failure: Failure | None = None
    reason: str = ""
    model: str = ""
    killed: bool = False
    started: float | None = None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A user asked to stop the job."""

    at: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """The model and the checkpoints of an ended trial are gone; with `done` False they could not be removed."""

    at: float
    number: int
    done: bool = True


@dataclass(frozen=True, slots=True)
class TrialStopAsked:
    """A user asked to stop one training job."""

    at: float
    number: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """A user continues a finished job (extended), with `add_jobs` more training jobs."""

    at: float
    add_jobs: int = 0


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed; deadlines are looked at."""

    at: float


Event: TypeAlias = (
    Created
    | Proposed
    | Promoted
    | Launched
    | Progressed
    | Reported
    | Judged
    | Exited
    | Discarded
    | StopAsked
    | TrialStopAsked
    | Resumed
    | Ticked
)
