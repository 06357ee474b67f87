"""What holds for a job whatever happens to it: random events, stale and repeated ones among them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from drive import Drive, spec
from hypothesis import given
from hypothesis import strategies as st

from tunewright.control.clock import SteadyClock
from tunewright.core.change import Change
from tunewright.core.completion import deadline
from tunewright.core.effects import Judge, Kill, Launch, Promote, Propose
from tunewright.core.events import (
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
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step, todo
from tunewright.core.spec import Completion, Direction, JobSpec
from tunewright.core.trial import Cursor, Failure, Observation, Phase, StopCause, TrialStatus, Verdict

VALUES = [0.0, 0.1, 0.5, 0.5, 0.9, -1.0, math.nan, math.inf]
ENDS: list[tuple[int | None, Failure | None, bool]] = [
    (0, None, False),
    (0, None, False),
    (1, Failure.ALGORITHM, False),
    (None, Failure.CLIENT, False),
    (None, Failure.INTERNAL, False),
    (None, Failure.INTERRUPTED, False),
    (-15, None, True),
]
OFTEN = ["propose", "launch", "report", "report", "exit"]
SELDOM = ["phase", "judge", "stop", "stop one", "resume", "tick", "promote"]


def story(seed: int, length: int, drive: Drive) -> Iterator[Event]:
    """Random events about a job, aimed at its present state more often than not; times mostly go forward."""
    dice = random.Random(seed)
    at = drive.now
    for _ in range(length):
        at += dice.choice([0.0, 0.0, 1.0, 20.0, -5.0])
        kind = dice.choice(OFTEN * 3 + SELDOM)
        yield some_event(dice, drive, kind, at)


def some_event(dice: random.Random, drive: Drive, kind: str, at: float) -> Event:
    live = [*drive.job.live, *drive.job.paused]
    number = dice.choice(live) if live and dice.random() < 0.8 else dice.randint(1, 7)
    attempt = drive.trials[number].attempt if number in drive.trials and dice.random() < 0.8 else dice.randint(1, 2)
    match kind:
        case "propose":
            first = drive.job.next_number
            numbers = [dice.choice([first, first + 1, number]) for _ in range(dice.randint(0, 3))]
            proposals = tuple(Proposal(n, {"x": dice.random()}) for n in numbers)
            return Proposed(at, proposals, dice.random() < 0.05, dice.random() < 0.05)
        case "launch":
            return Launched(at, number, attempt, dice.choice("ab"))
        case "report":
            return some_report(dice, drive, number, attempt, at)
        case "exit":
            code, failure, killed = dice.choice(ENDS)
            return Exited(at, number, attempt, code, failure, "why", killed=killed)
        case "phase":
            return Progressed(at, number, attempt, dice.choice(list(Phase)))
        case "judge":
            causes = [StopCause.EARLY, StopCause.MAX_RESOURCE, *[StopCause.PAUSED] * (4 * drive.of.promotes)]
            cause = dice.choice(causes)
            return Judged(at, number, attempt, dice.randint(0, 5), Verdict(dice.random() < 0.5, cause=cause))
        case "promote":
            fit = tuple(Promotion(dice.choice([number, 3]), Verdict(False, "fit")) for _ in range(dice.randint(0, 2)))
            return Promoted(at, drive.job.news - dice.choice([0, 0, 0, 1]), fit)
        case "stop":
            return StopAsked(at) if dice.random() < 0.3 else Ticked(at)
        case "stop one":
            return TrialStopAsked(at, number)
        case "resume":
            return Resumed(at, dice.randint(0, 2))
        case _:
            return Ticked(at)


def some_report(dice: random.Random, drive: Drive, number: int, attempt: int, at: float) -> Reported:
    """Bytes were read where values were found; from where the last report ended, or from anywhere."""
    known = number in drive.trials and dice.random() < 0.8
    since = drive.trials[number].cursor if known else Cursor(dice.randint(0, 3))
    metric = dice.choice(["loss", "loss", "other"])
    found = [
        Observation(metric, dice.choice(VALUES), at, dice.choice([None, None, 0, 3])) for _ in range(dice.randint(0, 3))
    ]
    note = dice.choice(["", "note"])
    return Reported(at, number, attempt, since, Cursor(since.stdout + len(found)), tuple(found), note)


seeds = st.integers(0, 2**32)
lengths = st.integers(0, 60).map(lambda missing: 60 - missing)


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    target = draw(st.none() | st.just(0.1))
    completion = Completion(target, draw(st.none() | st.just(3)), draw(st.booleans()))
    return spec(
        max_jobs=draw(st.integers(1, 6)),
        parallel=draw(st.integers(1, 3)),
        runtime=draw(st.none() | st.just(120.0)),
        completion=completion,
        direction=draw(st.sampled_from(Direction)),
        retries=draw(st.integers(0, 1)),
        job_runtime=draw(st.none() | st.just(60.0)),
        job_wait=draw(st.none() | st.just(90.0)),
        early=draw(st.booleans()),
        strict=draw(st.booleans()),
        promotion=draw(st.booleans()),
    )


@given(specs(), seeds, lengths)
def test_the_same_event_twice_changes_nothing_the_second_time(of: JobSpec, seed: int, length: int) -> None:
    drive = Drive(of)
    for event in story(seed, length, drive):
        job = drive.tell(event).job
        if isinstance(event, Resumed) and job.status.terminal:
            continue  # A resumed job that ended in the same moment may be resumed again.
        again = step(job, event)
        assert again.job == job
        assert (again.points, again.facts) == ((), ())


@given(specs(), seeds, lengths)
def test_whatever_happens_the_books_are_right(of: JobSpec, seed: int, length: int) -> None:
    drive = Drive(of)
    for event in story(seed, length, drive):
        before = drive.job
        check_books(drive, before, drive.tell(event))


def check_books(drive: Drive, before: Job, change: Change) -> None:
    job, of = drive.job, drive.of
    assert job.updated >= before.updated
    assert len(job.live) <= of.limits.max_parallel
    assert job.budget is not None
    assert job.launched <= job.budget
    assert sorted(drive.trials) == list(range(1, job.launched + 1)), "numbers have no holes"
    kept = {**job.live, **job.paused}
    assert {n: t for n, t in drive.trials.items() if t.status.live} == kept, "rows agree with the job"
    assert all((t.status is TrialStatus.PAUSED) == (n in job.paused) for n, t in kept.items())
    assert not job.paused or drive.of.promotes
    counters = job.counters
    assert counters.ended + job.unfinished == job.launched
    assert counters.succeeded + counters.objective_failed + job.unfinished == job.launched
    assert todo(job) == todo(job)
    if job.status.terminal:
        assert not job.unfinished and todo(job) == [] and deadline(job) is None and job.ended is not None
    if before.status.terminal and not isinstance(drive.events[-1], Resumed):
        assert change.job is before and not change.trials and not change.points and not change.facts
    if before.status is JobStatus.FAILED:
        assert job is before, "nothing brings a failed job back"
    assert job.status.terminal or job.live or todo(job), "nothing waits for ever"


@given(specs(), seeds, lengths)
def test_the_best_is_the_best_of_the_ended_ones(of: JobSpec, seed: int, length: int) -> None:
    drive = Drive(of)
    for event in story(seed, length, drive):
        drive.tell(event)
    ended = {n: t.value for n, t in drive.trials.items() if t.value is not None}
    best = drive.job.best
    if best is None:
        assert not ended
        return
    top = max(ended.values()) if of.definitions[0].objective.direction is Direction.MAXIMIZE else min(ended.values())  # type: ignore[union-attr]
    assert best.value == top
    assert best.number == min(n for n, v in ended.items() if v == top)


@given(specs(), seeds, lengths)
def test_facts_tell_a_history_all_that_the_rows_hold(of: JobSpec, seed: int, length: int) -> None:
    drive = Drive(of)
    for event in story(seed, length, drive):
        drive.tell(event)
    history = drive.history()
    assert sorted(history.records) == sorted(drive.trials)
    for record in history.records.values():
        trial = drive.trials[record.number]
        assert record.live is trial.status.live
        assert record.value == trial.value
        assert record.point == trial.point
        assert record.paused is (trial.status is TrialStatus.PAUSED)
        assert record.weighed == (trial.judged if of.promotes else 0)
        current = {
            p.epoch: p.value
            for p in drive.points
            if p.objective and (p.number, p.attempt) == (trial.number, trial.origin)
        }
        assert repr(record.curve) == repr(current)
    assert len(history.finished()) + len(history.live()) == drive.job.launched


@given(specs(), seeds, lengths)
def test_folding_the_journal_gives_the_same_job(of: JobSpec, seed: int, length: int) -> None:
    """The recorder writes only events that change the job; they alone lead to the same place."""
    drive = Drive(of)
    journal: list[Event] = [drive.events[0]]
    for event in story(seed, length, drive):
        before = drive.job
        if drive.tell(event).job is not before:
            journal.append(event)
    folded: Job | None = None
    for event in journal:
        folded = step(folded, event).job
    assert folded == drive.job


@given(specs(), seeds, lengths)
def test_a_snapshot_of_a_history_stays_as_it_was(of: JobSpec, seed: int, length: int) -> None:
    drive = Drive(of)
    history = drive.history()
    for event in story(seed, length, drive):
        snapshot = history.snapshot()
        seen = repr(snapshot.records)
        assert seen == repr(history.records)
        history.apply(drive.tell(event).facts)
        assert repr(snapshot.records) == seen


@given(specs(), seeds, lengths)
def test_doing_what_is_owed_ends_every_job(of: JobSpec, seed: int, length: int) -> None:
    """From wherever random events led: nothing waits for ever, and a finished job is owed nothing."""
    drive = Drive(of)
    for event in story(seed, length, drive):
        drive.tell(event)
    drive.now = drive.job.updated
    for _ in range(60):
        if drive.job.status.terminal:
            break
        serve(drive)
    assert drive.job.status.terminal
    assert drive.todo() == []


def serve(drive: Drive) -> None:
    """One round of a world that does what it is asked to, then lets one running program end."""
    for effect in drive.todo():
        match effect:
            case Propose():
                drive.propose(effect.count)
            case Launch():
                drive.launch(effect.number)
            case Judge():
                drive.judge(effect.number, effect.upto, Verdict(False))
            case Promote():
                drive.promote(*list(drive.job.paused)[:1])
            case Kill():
                drive.exit(effect.number, -15, killed=True)
    for trial in list(drive.job.live.values())[:1]:
        if trial.handle is not None:
            drive.report(trial.number, 0.4)
            drive.exit(trial.number)


@dataclass
class JumpingClock:
    """A machine's two clocks: the wall clock may be set, the steady one may not."""

    wall: float = 1_000_000.0
    steady: float = 77.0

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("jump", [0.0, -3600.0, 3600.0, -86400.0 * 400])
def test_run_time_is_measured_by_a_clock_that_cannot_jump(jump: float) -> None:
    """MaxRuntimeInSeconds 120, the wall clock set after 30 s: the job ends at 120 s all the same."""
    machine = JumpingClock()
    clock = SteadyClock(lambda: machine.wall, lambda: machine.steady)
    drive = Drive(spec(parallel=2, runtime=120.0), now=clock.now())
    drive.start(2)
    due = deadline(drive.job)
    assert due is not None
    machine.run(30)
    machine.wall += jump
    machine.run(due - clock.now() - 0.5)
    drive.tell(Ticked(clock.now()))
    assert drive.job.ending is None
    machine.run(0.5)
    drive.tell(Ticked(clock.now()))
    assert machine.steady == 77.0 + 120.0
    assert drive.todo() == [Kill(1, 1), Kill(2, 1)]
