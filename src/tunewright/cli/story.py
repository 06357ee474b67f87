"""What `run`, `watch` and `resume` tell of a tuning job. Pure: read models in, lines of text out.

The telling itself (a line for each finished job, deltas, hints, the live region, the end) is shared with the
Python face; what only a terminal's user needs is added here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tunewright.cli.causes import failure_lines
from tunewright.core.job import Job
from tunewright.core.spec import Direction, JobSpec, Strategy
from tunewright.core.trial import Trial, TrialStatus
from tunewright.sdk.causes import cause, in_short, kind
from tunewright.sdk.facts import Facts, Row, Running
from tunewright.sdk.phrases import STOPPED
from tunewright.sdk.progress import Logs, ProgressModel
from tunewright.sdk.values import short

SHOWN = 8
"""Running training jobs in the live region, which with all else has at most twelve lines."""
Paths = Callable[[str], str]
"""A training job's log file by its name; empty when there is none."""


def facts_of(job: Job) -> Facts:
    """What the shared telling wants to know of a job as a whole."""
    spec = job.spec
    objectives = {d.name: d.objective.metric for d in spec.definitions if d.objective is not None}
    patterns = {metric.name: metric.regex for d in spec.definitions for metric in d.training.metrics}
    return Facts(
        name=job.name,
        objectives=objectives,
        patterns=patterns,
        maximize=direction(spec) is Direction.MAXIMIZE,
        total=job.budget,
        judged=spec.judged,
        replicates=spec.replicates,
        strict=spec.strict,
    )


def direction(spec: JobSpec) -> Direction:
    objective = spec.definitions[0].objective
    return objective.direction if objective is not None else Direction.MAXIMIZE


def row_of(job: Job, trial: Trial) -> Row:
    """A training job as the shared telling sees it."""
    definition = job.spec.definitions[trial.definition]
    return Row(
        name=trial.name,
        status=str(trial.status.shown),
        objective_status=str(trial.objective_status),
        value=trial.value,
        parameters=definition.space.texts(trial.point),
        reason=trial.reason if trial.status is TrialStatus.FAILED else trial.objective_reason,
        definition=definition.name,
        started=trial.started,
        ended=trial.ended,
        ran=trial.ran,
        cause=trial.cause,
    )


def stopped_text(trial: Trial) -> str:
    """Why a training job was stopped, with the numbers that were compared."""
    if trial.cause is None:
        return ""
    text = STOPPED.get(trial.cause, str(trial.cause))
    why = trial.verdict.why if trial.verdict is not None and trial.verdict.stop else ""
    return f"{text} ({why})" if why else text


def running_of(job: Job) -> list[Running]:
    """The live training jobs in launch order."""
    return [Running(t.name, t.last, t.epoch, t.started, str(t.status)) for t in job.live.values()]


def opening(job: Job, home: str, owns: bool) -> list[str]:
    """What is said first; `owns` is whether Ctrl-C stops the job."""
    spec = job.spec
    objective = spec.definitions[0].objective
    metric = f", {objective.direction.lower()} {objective.metric}" if objective is not None else ""
    count = "training jobs without a fixed number" if job.budget is None else f"{job.budget} training jobs"
    early = ", early stopping" if spec.early_stopping and spec.strategy is not Strategy.HYPERBAND else ""
    return [
        f"Tuning job {job.name}: {spec.strategy} search, {count}, {spec.limits.max_parallel} at a time{early}{metric}",
        f"Files in {home}; Ctrl-C {'stops the job, twice at once' if owns else 'leaves, the job goes on'}",
    ]


@dataclass(slots=True)
class Counted:
    """A cause of failure: the training job that failed of it first, its line there, and how many failed of it."""

    first: str
    cause: str
    count: int = 0


class Story(ProgressModel):
    """The shared telling with exit codes, hints and this command line's next steps.

    Args:
        job: the tuning job as first read.
        logs: the end of a training job's log by name.
        paths: a training job's log file by name.
    """

    def __init__(self, job: Job, logs: Logs, paths: Paths, *, quiet: bool = False) -> None:
        super().__init__(facts_of(job), logs, quiet=quiet)
        self._paths = paths
        self._trials: dict[str, Trial] = {}
        self._kinds: dict[str, Counted] = {}
        self._shares: list[tuple[str, float]] = []

    def ended(self, job: Job, trials: Sequence[Trial]) -> list[str]:
        """The lines that finished training jobs add."""
        self._trials = {trial.name: trial for trial in trials}
        self.facts = facts_of(job)
        return self.update([row_of(job, trial) for trial in trials])

    def weigh(self, shares: Sequence[tuple[str, float]]) -> None:
        """Say from now on first which parameters matter most (name and share, most important first)."""
        self._shares = list(shares)

    def _in_order(self, row: Row) -> Row:
        """A row whose parameters stand in the order of their importance."""
        names = [name for name, _ in self._shares if name in row.parameters]
        names += [name for name in row.parameters if name not in names]
        return replace(row, parameters={name: row.parameters[name] for name in names})

    def top(self, count: int) -> list[Row]:
        return [self._in_order(row) for row in super().top(count)]

    def region(self, job: Job, now: float, note: str = "") -> list[str]:
        """The live region: at most twelve lines."""
        counters = job.counters
        counts = {
            "running": len(job.live),
            "paused": len(job.paused),
            "failed": counters.retryable + counters.non_retryable,
            "stopped": counters.stopped,
        }
        self.best = self.best and self._in_order(self.best)
        running = running_of(job)
        lines = self.live(running[:SHOWN], counts, job.runtime(now), now)
        lines += [f"  and {len(running) - SHOWN} more running"] if len(running) > SHOWN else []
        return [*lines, note or f"  more: tunewright jobs {job.name}; tunewright logs {job.name} -f"]

    def _stopped(self, row: Row) -> str:
        trial = self._trials.get(row.name)
        return super()._stopped(row) if trial is None else stopped_text(trial)

    def _failure(self, row: Row) -> list[str]:
        """A cause is told once; the same one again is only counted."""
        trial = self._trials.get(row.name)
        seen = self._kinds.setdefault(kind(row.reason), Counted(row.name, cause(row.reason)))
        seen.count += 1
        if seen.count > 1:
            again = f"{self._head(row)}  failed for the same reason as {seen.first} ({seen.count} so far)"
            return [] if self._quiet else [again]
        lines = [f"{self._head(row)}  failed: {seen.cause}  {row.text()}".rstrip()]
        return lines + (failure_lines(trial, self._paths(row.name)) if trial is not None else [])

    def failures(self) -> list[str]:
        """Each cause that came more than once, as it was first told, with its number and its first training job."""
        return [
            f"Failed {seen.count} times: {seen.cause} (first {seen.first}, log {self._paths(seen.first)})"
            for seen in self._kinds.values()
            if seen.count > 1
        ]

    def best_so_far(self) -> list[str]:
        """What is said when the user leaves before the end."""
        if self.best is None:
            return ["No training job has brought a value yet."]
        return [f"Best so far: {self.best.worth()} by {self.best.name}  {self.best.text()}"]

    def end(self, job: Job, now: float, model: str | None) -> list[str]:
        """What is said at the end: the reason in words, failures, the best, where to go from here."""
        why = in_short(job.reason) or (job.ending.why if job.ending else "")
        return self.summary(str(job.status), why, job.runtime(now), model)

    def _ways(self) -> list[str]:
        name = self.facts.name
        lines = self.failures()
        if self._shares:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in self._shares[:3])
            lines.append(f"Most important: {shares}")
        lines.append(f"All results: tunewright jobs {name}   Export: tunewright export {name} --output {name}.csv")
        return lines


@dataclass(slots=True)
class Watched:
    """Which training jobs were seen to begin and to end, so that each is told once."""

    known: int = 0
    open: set[int] = field(default_factory=set)
    epochs: dict[int, int] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)

    def ended(self, job: Job) -> list[int]:
        """Numbers that ended since the last look."""
        self.open |= set(range(self.known + 1, job.next_number))
        self.known = job.next_number - 1
        gone = sorted(self.open - set(job.live) - set(job.paused))
        self.open -= set(gone)
        for number in gone:
            self.epochs.pop(number, None)
        return gone

    def moved(self, job: Job) -> list[tuple[Trial, bool]]:
        """Training jobs that began (True), reported a new objective or were paused (False) since the last look."""
        found = [(trial, False) for number, trial in job.paused.items() if number not in self.paused]
        self.paused = set(job.paused)
        for number, trial in job.live.items():
            if trial.status is TrialStatus.PENDING:
                continue
            if number not in self.epochs:
                found.append((trial, True))
            if trial.epoch > self.epochs.get(number, 0):
                found.append((trial, False))
            self.epochs[number] = trial.epoch
        return found


def moved_line(job: Job, trial: Trial, began: bool) -> str:
    """One line about a training job that began, reported or was paused (with -v)."""
    if trial.status is TrialStatus.PAUSED and trial.verdict is not None:
        return f"{trial.name}  {trial.verdict.why}"
    row = row_of(job, trial)
    if began:
        return f"{trial.name}  started  {row.text()}"
    return f"{trial.name}  epoch {trial.epoch}  {'-' if trial.last is None else short(trial.last)}"
