"""What one event does to a job, gathered while it is worked out: the new job, rows to write, facts to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tunewright.core.history import Fact
from tunewright.core.job import Ending, Job
from tunewright.core.trial import Trial, TrialStatus


class CurvePoint(NamedTuple):
    """A row of a metric's curve: the value of `metric` at `epoch`; a repeated epoch replaces.

    A tuple, since a log may hold hundreds of thousands.
    """

    number: int
    attempt: int
    metric: str
    epoch: int | None
    value: float
    at: float
    objective: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What an event did: the job after it, the trial rows and points to write, the facts for the history."""

    job: Job
    trials: tuple[Trial, ...] = ()
    points: tuple[CurvePoint, ...] = ()
    facts: tuple[Fact, ...] = ()


class Draft:
    """A change in the making."""

    def __init__(self, job: Job, at: float) -> None:
        self.job = job
        self.at = at
        self.trials: dict[int, Trial] = {}
        self.points: list[CurvePoint] = []
        self.facts: list[Fact] = []

    def put(self, trial: Trial) -> None:
        """Write the row of a trial that has not ended, and keep it where it belongs."""
        self.trials[trial.number] = trial
        live, paused = self.job.live, self.job.paused
        if trial.status is TrialStatus.PAUSED:
            self.job = replace(self.job, live=_without(live, trial), paused={**paused, trial.number: trial})
        else:
            paused = _without(paused, trial) if trial.number in paused else paused
            self.job = replace(self.job, live={**live, trial.number: trial}, paused=paused)

    def retire(self, trial: Trial) -> None:
        """Write an ended trial's row and drop it from the others."""
        self.trials[trial.number] = trial
        live, paused = _without(self.job.live, trial), self.job.paused
        paused = _without(paused, trial) if trial.number in paused else paused
        self.job = replace(self.job, live=live, paused=paused, counters=self.job.counters.add(trial))

    def heard(self) -> None:
        """Note that there is news for those that are paused."""
        if self.job.spec.promotes:
            self.job = replace(self.job, news=self.job.news + 1)

    def current(self, number: int, attempt: int) -> Trial | None:
        """The live trial that an event speaks of, or None when the event is stale (so is all about a paused one)."""
        trial = self.job.live.get(number)
        return trial if trial is not None and trial.attempt == attempt else None

    def end(self, ending: Ending) -> None:
        """Decide how the job ends, unless that was decided before."""
        if self.job.ending is None:
            self.job = replace(self.job, ending=ending)

    def change(self, before: Job | None) -> Change:
        """What came of it. `before` is the job as it was: while it is the same object, nothing was updated."""
        job = self.job if self.job is before else replace(self.job, updated=max(self.job.updated, self.at))
        return Change(job, tuple(self.trials.values()), tuple(self.points), tuple(self.facts))


def _without(trials: Mapping[int, Trial], one: Trial) -> dict[int, Trial]:
    return {number: trial for number, trial in trials.items() if number != one.number}
