"""What another rule of stopping would have done to a tuning job, by the values that its training jobs emitted.

The journal is folded as it was, and the facts that leave it are told to a second history in which the other rule
has its say: after each reading of the logs, as the loop asks. A training job that the rule stops is over there
and then; what it emitted later is not looked at. What nobody recorded stays unknown: how training jobs that were
stopped in truth would have gone on, and what would have run in the time that is saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tunewright.core.events import Event, Exited, Judged, Launched, Progressed, Reported
from tunewright.core.history import Emitted, Ended, Fact, History, Restarted
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.ports import Advisor
from tunewright.core.spec import JobSpec
from tunewright.core.trial import StopCause, Trial, TrialStatus, Verdict

_BY_RULE = (StopCause.EARLY, StopCause.MAX_RESOURCE)


@dataclass(frozen=True, slots=True)
class Course:
    """How far one training job came, in truth or under a rule.

    Args:
        epoch: the largest epoch that it emitted.
        seconds: that its program ran.
        value: its final objective when it counts.
        verdict: the one that stopped it, or None.
    """

    number: int
    epoch: int
    seconds: float
    value: float | None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Two courses of every training job, by number; both tell of what was recorded alone."""

    spec: JobSpec
    names: dict[int, str]
    recorded: dict[int, Course]
    supposed: dict[int, Course]

    @property
    def stopped(self) -> list[Course]:
        """Training jobs that the rule would have stopped, in launch order."""
        return [course for course in self.supposed.values() if course.verdict is not None]

    @property
    def unknown(self) -> list[int]:
        """Training jobs that were stopped in truth where the rule would have let them go on."""
        cut = [number for number, course in self.recorded.items() if course.verdict is not None]
        return [number for number in cut if self.supposed[number].verdict is None]

    @property
    def best_recorded(self) -> Course | None:
        return self._best(self.recorded.values())

    @property
    def best_supposed(self) -> Course | None:
        return self._best(self.supposed.values())

    @property
    def regret(self) -> float | None:
        """How much worse the best is under the rule, never less than nothing; None without two values."""
        truth, supposed = self.best_recorded, self.best_supposed
        if truth is None or supposed is None or truth.value is None or supposed.value is None:
            return None
        return max(0.0, self.spec.sign * (supposed.value - truth.value))

    def epochs_saved(self) -> int:
        return sum(self.recorded[n].epoch - course.epoch for n, course in self.supposed.items())

    def seconds_saved(self) -> float:
        """Never less than nothing: a program that ended by itself may have been gone before its last value was read."""
        return sum(max(0.0, self.recorded[n].seconds - course.seconds) for n, course in self.supposed.items())

    def _best(self, courses: Iterable[Course]) -> Course | None:
        valued = [
            (self.spec.sign * course.value, course.number, course) for course in courses if course.value is not None
        ]
        return min(valued, key=lambda each: each[:2])[2] if valued else None


def what_if(journal: Sequence[Event], spec: JobSpec, rule: Advisor | None) -> WhatIf:
    """The courses of a finished job's training jobs in truth, and under another rule.

    Args:
        journal: all events of the job.
        spec: the job's specification with the other rule in the place of its own.
        rule: judges by `spec`; None never stops anything.
    """
    supposing = _Supposing(spec, rule, _stops(journal))
    job: Job | None = None
    rows: dict[int, Trial] = {}
    for batch in _batches(journal):
        told: list[tuple[Fact, float]] = []
        for event in batch:
            change = step(job, event)
            job = change.job
            rows |= {trial.number: trial for trial in change.trials}
            told += [(fact, event.at) for fact in change.facts]
        supposing.hear(told, rows)
    recorded = {number: _recorded(trial) for number, trial in rows.items()}
    supposed = {
        number: supposing.courses.get(number, replace(course, verdict=None)) for number, course in recorded.items()
    }
    return WhatIf(spec, {number: trial.name for number, trial in rows.items()}, recorded, supposed)


def _recorded(trial: Trial) -> Course:
    verdict = trial.verdict if trial.cause in _BY_RULE else None
    return Course(trial.number, trial.epoch, 0.0 if trial.ended is None else trial.ran, trial.value, verdict)


def _stops(journal: Sequence[Event]) -> dict[int, int]:
    """By number, the epoch at which a training job was told to stop by the rule in force."""
    return {e.number: e.upto for e in journal if isinstance(e, Judged) and e.verdict.stop}


def _batches(journal: Sequence[Event]) -> Iterator[list[Event]]:
    """The journal in the pieces that the loop saw at once: one look at the logs carries one time."""
    batch: list[Event] = []
    looked: float | None = None
    for event in journal:
        alone = not isinstance(event, Reported | Exited | Progressed | Launched)
        if batch and (alone or (isinstance(event, Reported) and looked not in (None, event.at))):
            yield batch
            batch, looked = [], None
        batch.append(event)
        looked = event.at if isinstance(event, Reported) else looked
    if batch:
        yield batch


class _Supposing:
    """The second history, and whom the rule has stopped in it."""

    def __init__(self, spec: JobSpec, rule: Advisor | None, in_truth: dict[int, int]) -> None:
        self.courses: dict[int, Course] = {}
        self._history = History(spec)
        self._rule = rule
        self._in_truth = in_truth
        self._judged: dict[int, int] = {}
        self._stopped: dict[int, Ended] = {}

    def hear(self, told: Sequence[tuple[Fact, float]], rows: dict[int, Trial]) -> None:
        """Take what one look at the logs brought, then ask about every training job that emitted and goes on."""
        emitted: dict[int, float] = {}
        for fact, at in told:
            self._take(fact)
            if isinstance(fact, Emitted) and fact.number not in self._stopped:
                emitted[fact.number] = at
        for number, at in emitted.items():
            trial = rows[number]
            if trial.status is TrialStatus.RUNNING and trial.epoch > self._judged.get(number, 0):
                self._judged[number] = trial.epoch
                self._ask(trial, at)

    def _take(self, fact: Fact) -> None:
        stopped = self._stopped.get(fact.number)
        if stopped is None:
            self._history.apply([fact])
            if isinstance(fact, Restarted):
                self._judged.pop(fact.number, None)
        elif isinstance(fact, Ended) and self._history.records[fact.number].live:
            # It was stopped there in truth, too: others saw its end when its program was gone.
            self._history.apply([stopped])

    def _ask(self, trial: Trial, at: float) -> None:
        verdict = self._rule.judge(self._history, trial.number, trial.epoch) if self._rule is not None else None
        if verdict is None or not verdict.stop:
            return
        number = trial.number
        value = trial.last if trial.last is not None and math.isfinite(trial.last) else None
        end = self._stopped[number] = Ended(number, value, failed=False, diverged=value is None, stopped=True)
        self.courses[number] = Course(number, trial.epoch, trial.runtime(at), value, verdict)
        if self._in_truth.get(number) != trial.epoch:
            self._history.apply([end])
