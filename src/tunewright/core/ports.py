"""The Protocols that the rooms around the heart implement or use, and the small values that cross them.

Every implementation is checked against these by mypy where `assembly` joins them, and by the conformance
suites in `tunewright.testing`. Nobody needs to import a Protocol to implement it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from tunewright.core.change import Change
from tunewright.core.events import Event, Promotion, Proposal
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.spec import Training
from tunewright.core.trial import Cursor, Failure, Phase, Verdict

FIRST_HOST = "algo-1"
"""The name of a task's first host; further ones are `algo-2`, `algo-3`, ..."""


class Clock(Protocol):
    """Time as the loop sees it: never runs backwards, whatever happens to the machine's wall clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def at_least(self, at: float) -> None:
        """Never answer less than `at` from now on (a store may have seen a later time than this process)."""
        ...


# ---- memory ----


@dataclass(frozen=True, slots=True)
class Stored:
    """A job as read, and the version that a commit must name."""

    job: Job
    version: int


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that runs jobs: enough to tell whether it is still alive on its host."""

    host: str
    boot: str
    pid: int
    started: float

    def text(self) -> str:
        """The same for the same process alone: what a lease is compared by."""
        return f"{self.host}/{self.boot}/{self.pid}/{self.started!r}"


class Store(Protocol):
    """Durable memory. Every commit is one transaction: job row, trial rows, points, journal."""

    def create(self, change: Change, events: Sequence[Event], tags: Mapping[str, str]) -> Stored:
        """Write a new job with its Created event.

        Raises:
            AlreadyExists: a tuning job (or, for a plain training job, a training job) has this name in any case.
        """
        ...

    def load(self, uid: str) -> Stored:
        """Raises NotFound."""
        ...

    def find(self, name: str, *, tuning: bool) -> str:
        """The uid of a job by name, ignoring case. Raises NotFound."""
        ...

    def commit(self, version: int, changes: Sequence[Change], events: Sequence[Event]) -> int:
        """Write the changes of a batch of events on one job, in order; the new version.

        The last change's job is the job's new row. New trial rows take over the job's tags.

        Raises:
            StaleVersion: the job has another version now; nothing was written.
        """
        ...

    def versions(self) -> dict[str, int]:
        """uid and version of every job that is not terminal, oldest first."""
        ...

    def history(self, uid: str) -> History:
        """All trials and objective curves of a job, without parents."""
        ...

    def journal(self, uid: str) -> list[Event]:
        """All events of a job in the order in which they were committed."""
        ...

    def delete(self, uid: str, version: int | None = None) -> None:
        """Drop a tuning job's row, journal and lease; its trials stay as training jobs.

        Args:
            version: the version that it must still have; None for any.

        Raises:
            NotFound: no such job.
            StaleVersion: it has another version.
        """
        ...

    def delete_trial(self, uid: str, number: int) -> None:
        """Drop a training job that has ended; its name is free again.

        What it brought stays in the history of its tuning job for as long as that job is there.

        Raises:
            NotFound: there is no such training job, it was dropped before, or it has not ended.
        """
        ...

    def tags(self, kind: str, name: str) -> dict[str, str]:
        """Tags of a `tuning` or `training` job by name. Raises NotFound."""
        ...

    def set_tags(self, kind: str, name: str, add: Mapping[str, str], remove: Sequence[str]) -> dict[str, str]:
        """Change tags; the tags afterwards. Raises NotFound."""
        ...

    def acquire(self, uid: str, owner: Owner, until: float, now: float, dead: Sequence[Owner]) -> bool:
        """Take or renew a job's lease: granted when free, expired, already ours, or held by one of `dead`."""
        ...

    def release(self, uid: str, owner: Owner) -> None:
        """Give a lease back; nothing happens when it is not ours."""
        ...

    def lease(self, uid: str) -> tuple[Owner, float] | None:
        """Who holds a job and until when."""
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...


# ---- opinions ----


@dataclass(frozen=True, slots=True)
class Proposals:
    """A strategy's answer: at most as many as asked for, numbered from the first that was asked."""

    proposals: tuple[Proposal, ...]
    exhausted: bool = False
    converged: bool = False


class Advisor(Protocol):
    """Pure functions of a history. Same history and seed, same answer."""

    def propose(self, history: History, first: int, count: int) -> Proposals:
        """Configurations for trials `first` to `first + count - 1`; fewer when there are no more."""
        ...

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        """Whether trial `number` goes on, having seen its curve up to epoch `upto`."""
        ...

    def promote(self, history: History, places: int) -> tuple[Promotion, ...]:
        """Which paused trials go on, the most deserving first, at most `places` of them."""
        ...


# ---- hands ----


@dataclass(frozen=True, slots=True)
class Task:
    """All that an executor needs to run one attempt of a training job.

    Args:
        name: the training job's name, unique in the store; with `attempt` the key of everything.
        hyperparameters: what hyperparameters.json holds: static, tuned and `_tuning_objective_metric`, as strings.
        objective: the objective metric's name, or "".
        grace: seconds between SIGTERM and SIGKILL.
        checkpoint_uri: where this training job's checkpoints are kept, or None.
        uid: its tuning job, or itself where it has none, as no other ever was; "" where names do not come again.
    """

    job: str
    name: str
    attempt: int
    number: int
    training: Training
    hyperparameters: Mapping[str, str]
    objective: str = ""
    grace: float = 30.0
    arn: str = ""
    region: str = "us-east-1"
    checkpoint_uri: str | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """A task entered a phase at a time."""

    name: str
    attempt: int
    phase: Phase
    at: float


@dataclass(frozen=True, slots=True)
class ExitReport:
    """A task is over: its processes are gone and its artifacts are where they belong.

    Args: as in `events.Exited`; `started` and `ended` are seconds since the epoch.
    """

    name: str
    attempt: int
    exit_code: int | None
    failure: Failure | None = None
    reason: str = ""
    model: str = ""
    killed: bool = False
    started: float | None = None
    ended: float | None = None


Report: TypeAlias = PhaseReport | ExitReport


class Executor(Protocol):
    """Runs tasks. Every call is idempotent by (name, attempt) and none waits for a training program.

    Until a task is forgotten its end is told again to whoever launches, watches or kills it: what was told before may
    have been lost on its way to the store.
    """

    def launch(self, task: Task) -> str | None:
        """Start a task, or find it started already; its handle. None: no slot is free now, ask again later.

        Raises:
            NoCapacity: there are no instances of the task's type here.
        """
        ...

    def watch(self, task: Task, handle: str | None) -> None:
        """Take over a task that an earlier controller launched; its end will be reported by `poll`."""
        ...

    def kill(self, task: Task) -> None:
        """Begin to end a task: SIGTERM, `task.grace`, SIGKILL to the whole group; an ExitReport follows.

        A task that never started leaves a tombstone, so that a launch that is still under way starts nothing;
        its ExitReport says killed, with no exit code.
        """
        ...

    def poll(self) -> list[Report]:
        """What happened since the last poll, per task in order; an ExitReport is the task's last."""
        ...

    def sizes(self, name: str, attempt: int) -> Cursor:
        """How many bytes each stream of a task holds now (zeros while nothing exists)."""
        ...

    def read(self, name: str, attempt: int, stream: str, offset: int, limit: int) -> bytes:
        """Bytes of `stdout`, `stderr` or `metrics` from an offset, at most `limit`.

        A task with several hosts has these of the first; `algo-2/stdout` and the like are the others'. Once it is
        over, `hosts` lists all of them, a line each, in the order in which they ended.
        """
        ...

    def wake(self) -> None:
        """Make a `wait` in another thread return."""
        ...

    def wait(self, timeout: float) -> None:
        """Return when `poll` may have something, when woken, or after `timeout` seconds."""
        ...

    def forget(self, name: str, attempt: int) -> None:
        """The exit is committed; drop what is held in memory (files stay)."""
        ...

    def close(self) -> None:
        """Release this process's resources. Training programs go on, but for function workers."""
        ...


# ---- files ----


class Objects(Protocol):
    """Files by URI: `s3://bucket/key` on the object directory, and `file:///absolute/path`."""

    def path(self, uri: str) -> Path:
        """Where a URI lies on this disk. Raises Invalid for other schemes and for paths that escape."""
        ...

    def exists(self, uri: str) -> bool:
        """Whether a file or a non-empty prefix is there."""
        ...

    def has_bucket(self, uri: str) -> bool:
        """Whether the bucket of a URI is there; a `file://` URI needs none. Raises Invalid for what is no name."""
        ...

    def fetch(self, uri: str, target: Path) -> int:
        """Bring every file under a prefix (or the one file) below `target`; how many. Links where it can."""
        ...

    def put_file(self, source: Path, uri: str, *, move: bool = False) -> None:
        """Store one file atomically; with `move` the caller has no more use for `source`."""
        ...

    def put_tree(self, source: Path, uri: str, *, move: bool = False) -> int:
        """Store every file of a directory under a prefix; how many."""
        ...

    def remove(self, uri: str) -> None:
        """Remove the file, or the directory with all that is in it; nothing happens when there is none."""
        ...
