"""A job driven by hand: short names for the events, and the state after each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tunewright.core.change import Change, CurvePoint
from tunewright.core.effects import Effect
from tunewright.core.events import (
    Created,
    Event,
    Exited,
    Judged,
    Launched,
    Progressed,
    Promoted,
    Promotion,
    Proposal,
    Proposed,
    Reported,
    Resumed,
    StopAsked,
    Ticked,
    TrialStopAsked,
)
from tunewright.core.history import Fact, History
from tunewright.core.job import Job
from tunewright.core.machine import step, todo
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Completion, Definition, Direction, JobSpec, Limits, Objective, Strategy, Training
from tunewright.core.trial import Cursor, Failure, Observation, Phase, StopCause, Trial, Verdict

UID = "0123456789abcdef"
START = 1000.0
ANYTHING = Completion()


def spec(
    *,
    max_jobs: int | None = 10,
    parallel: int = 2,
    runtime: float | None = None,
    completion: Completion = ANYTHING,
    direction: Direction = Direction.MINIMIZE,
    retries: int = 0,
    job_runtime: float | None = None,
    strategy: Strategy | None = Strategy.RANDOM,
    early: bool = False,
    strict: bool = False,
    promotion: bool = False,
    job_wait: float | None = None,
) -> JobSpec:
    objective = Objective("loss", direction) if strategy is not None else None
    training = Training(retries=retries, max_runtime=job_runtime, max_wait=job_wait)
    definition = Definition(Space({"x": ContinuousParameter(0.0, 1.0)}), objective, training)
    limits = Limits(parallel, max_jobs, runtime)
    of = JobSpec("job", (definition,), strategy, limits, completion, early_stopping=early, strict=strict)
    if promotion:
        of = replace(of, strategy=Strategy.HYPERBAND, options={"hyperband_mode": '"promotion"'})
    return of


@dataclass
class Drive:
    """Args:
    trials: the last row of every trial, as a store would hold them.
    """

    of: JobSpec = field(default_factory=spec)
    now: float = START
    trials: dict[int, Trial] = field(default_factory=dict)
    points: list[CurvePoint] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._job: Job | None = None
        self.tell(Created(self.now, UID, self.of))

    @property
    def job(self) -> Job:
        assert self._job is not None
        return self._job

    def todo(self) -> list[Effect]:
        return todo(self.job)

    def tell(self, event: Event) -> Change:
        change = step(self._job, event)
        self._job = change.job
        self.trials.update({trial.number: trial for trial in change.trials})
        self.points += change.points
        self.facts += change.facts
        self.events.append(event)
        return change

    def history(self) -> History:
        history = History(self.of)
        history.apply(self.facts)
        return history

    # ---- events ----

    def later(self, seconds: float) -> Drive:
        self.now += seconds
        return self

    def propose(self, count: int = 1, *, exhausted: bool = False, converged: bool = False) -> Change:
        first = self.job.next_number
        proposals = tuple(Proposal(number, {"x": number / 1000}) for number in range(first, first + count))
        return self.tell(Proposed(self.now, proposals, exhausted, converged))

    def launch(self, number: int) -> Change:
        return self.tell(Launched(self.now, number, self.attempt(number), f"handle-{number}-{self.attempt(number)}"))

    def start(self, count: int = 1) -> list[int]:
        """Propose and launch; the numbers."""
        first = self.job.next_number
        self.propose(count)
        numbers = list(range(first, self.job.next_number))
        for number in numbers:
            self.launch(number)
        return numbers

    def enter(self, number: int, phase: Phase) -> Change:
        return self.tell(Progressed(self.now, number, self.attempt(number), phase))

    def report(self, number: int, *values: float, metric: str = "loss", step: int | None = None) -> Change:
        seen = tuple(Observation(metric, value, self.now, step) for value in values)
        since = self.trials[number].cursor
        ahead = Cursor(since.stdout + 10 * len(values), since.stderr, since.metrics)
        return self.tell(Reported(self.now, number, self.attempt(number), since, ahead, seen))

    def judge(self, number: int, upto: int, verdict: Verdict) -> Change:
        return self.tell(Judged(self.now, number, self.attempt(number), upto, verdict))

    def exit(
        self, number: int, code: int | None = 0, failure: Failure | None = None, *, killed: bool = False
    ) -> Change:
        if failure is None and code != 0 and not killed:
            failure = Failure.ALGORITHM
        reason = "" if failure is None else f"exit code {code}"
        return self.tell(Exited(self.now, number, self.attempt(number), code, failure, reason, killed=killed))

    def promote(self, *numbers: int) -> Change:
        """An answer to the latest question; these go on."""
        fit = tuple(Promotion(number, Verdict(False, f"{number} is fit", 0.5, 0.5)) for number in numbers)
        return self.tell(Promoted(self.now, self.job.news, fit))

    def stop(self) -> Change:
        return self.tell(StopAsked(self.now))

    def stop_trial(self, number: int) -> Change:
        return self.tell(TrialStopAsked(self.now, number))

    def resume(self, add_jobs: int = 0) -> Change:
        return self.tell(Resumed(self.now, add_jobs))

    def tick(self) -> Change:
        return self.tell(Ticked(self.now))

    # ---- shortcuts ----

    def attempt(self, number: int) -> int:
        return self.trials[number].attempt

    def finish(self, *values: float) -> int:
        """One training job from proposal to a good end, printing these values; its number."""
        [number] = self.start()
        if values:
            self.report(number, *values)
        self.exit(number)
        return number

    def fail(self, failure: Failure = Failure.ALGORITHM) -> int:
        [number] = self.start()
        self.exit(number, 1, failure)
        return number

    def pause(self, *values: float, number: int | None = None) -> int:
        """A training job that reports these values and is paused; a new one, or one that runs; its number."""
        if number is None:
            [number] = self.start()
        self.report(number, *values)
        self.judge(number, self.trials[number].epoch, Verdict(True, "too far behind", 0.7, 0.5, StopCause.PAUSED))
        self.exit(number, -15, killed=True)
        return number
