"""What a training job's result is, which one is best, and what is counted."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from drive import Drive, spec

from tunewright.core.effects import Judge
from tunewright.core.events import Reported
from tunewright.core.history import Ended
from tunewright.core.job import JobStatus
from tunewright.core.spec import Direction
from tunewright.core.trial import (
    Cursor,
    Failure,
    ObjectiveStatus,
    Observation,
    Phase,
    StopCause,
    TrialStatus,
    Verdict,
    trial_name,
)

NAN, INF = math.nan, math.inf


# ---- the objective is the last emitted value ----


@pytest.mark.parametrize(
    ("values", "value", "diverged"),
    [
        ((0.5,), 0.5, False),
        ((0.1, 0.5), 0.5, False),
        ((0.1, NAN, 0.5), 0.5, False),
        ((0.5, NAN), None, True),
        ((0.5, INF), None, True),
        ((0.5, -INF), None, True),
        ((), None, False),
    ],
)
def test_the_last_value_counts(values: tuple[float, ...], value: float | None, diverged: bool) -> None:
    drive = Drive(spec(parallel=1))
    number = drive.finish(*values)
    trial = drive.trials[number]
    assert (trial.value, trial.diverged) == (value, diverged)
    assert trial.objective_status is (ObjectiveStatus.FAILED if value is None else ObjectiveStatus.SUCCEEDED)
    ended = drive.facts[-1]
    assert ended == Ended(number, value, failed=value is None and not diverged, diverged=diverged, stopped=False)
    assert bool(trial.objective_reason) is (value is None)


def test_a_failed_job_has_no_objective_whatever_it_printed() -> None:
    drive = Drive(spec(parallel=1))
    [number] = drive.start()
    drive.report(number, 0.01)
    drive.exit(number, 1)
    assert drive.trials[number].value is None
    assert drive.job.best is None


def test_nan_is_never_the_best() -> None:
    drive = Drive(spec(parallel=1))
    for values in ((NAN,), (0.5,), (0.7,)):
        drive.finish(*values)
    assert drive.job.best is not None
    assert (drive.job.best.number, drive.job.best.value) == (2, 0.5)
    assert "nan" in drive.trials[1].objective_reason


def test_infinity_is_never_the_best() -> None:
    drive = Drive(spec(parallel=1, direction=Direction.MAXIMIZE))
    for values in ((INF,), (1.0,)):
        drive.finish(*values)
    assert drive.job.best is not None
    assert (drive.job.best.number, drive.job.best.value) == (2, 1.0)


def test_ties_go_to_the_earliest_whoever_ends_first() -> None:
    drive = Drive(spec(parallel=3))
    drive.start(3)
    for number in (3, 1, 2):
        drive.report(number, 0.5)
        drive.exit(number)
    assert drive.job.best is not None
    assert drive.job.best.number == 1


@pytest.mark.parametrize("direction", Direction)
def test_the_best_is_the_best(direction: Direction) -> None:
    drive = Drive(spec(parallel=1, direction=direction, max_jobs=20))
    values = [0.5, -3.0, 7.0, 0.0, 2.0]
    for value in values:
        drive.finish(value)
    assert drive.job.best is not None
    assert drive.job.best.value == (max(values) if direction is Direction.MAXIMIZE else min(values))


def test_a_stopped_job_may_be_the_best() -> None:
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.2)
    drive.judge(1, 1, Verdict(True, "0.2 is worse than 0.1", 0.2, 0.1))
    drive.exit(1, -15, killed=True)
    assert drive.job.best is not None
    assert (drive.trials[1].status, drive.job.best.number) == (TrialStatus.STOPPED, 1)
    assert drive.trials[1].verdict == Verdict(True, "0.2 is worse than 0.1", 0.2, 0.1)
    assert drive.trials[1].reason == "0.2 is worse than 0.1"


# ---- reports ----


def test_a_report_read_twice_counts_once() -> None:
    drive = Drive(spec())
    drive.start()
    event = Reported(drive.now, 1, 1, Cursor(), Cursor(20), (Observation("loss", 0.5, drive.now),))
    drive.tell(event)
    before = drive.job
    drive.tell(event)
    assert drive.job is before
    assert drive.trials[1].epoch == 1


def test_epochs_are_counted_or_named_and_a_named_one_replaces() -> None:
    drive = Drive(spec())
    drive.start()
    drive.report(1, 0.9, 0.8)
    drive.report(1, 0.7, step=5)
    drive.report(1, 0.6, step=5)
    drive.report(1, 0.5)
    assert drive.history().records[1].curve == {1: 0.9, 2: 0.8, 5: 0.6, 6: 0.5}
    assert [(p.epoch, p.value, p.objective) for p in drive.points] == [
        (1, 0.9, True),
        (2, 0.8, True),
        (5, 0.7, True),
        (5, 0.6, True),
        (6, 0.5, True),
    ]


def test_a_step_from_the_past_does_not_turn_the_epoch_back() -> None:
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.9, step=5)
    drive.judge(1, 5, Verdict(False))
    drive.report(1, 0.8, step=2)
    assert drive.trials[1].epoch == 5
    assert drive.trials[1].last == 0.8, "the last emitted value counts, whichever step it names"
    assert drive.todo() == []


def test_a_gap_in_a_curve_counts_as_an_epoch() -> None:
    drive = Drive(spec())
    drive.start()
    drive.report(1, 0.9, NAN, 0.7)
    assert drive.history().records[1].finite_curve() == [(1, 0.9), (3, 0.7)]


def test_a_curve_is_in_order_of_its_epochs_whatever_came_first() -> None:
    drive = Drive(spec())
    drive.start()
    for step in (5, 2, 9):
        drive.report(1, step / 10, step=step)
    assert drive.history().records[1].finite_curve() == [(2, 0.2), (5, 0.5), (9, 0.9)]


def test_snapshots_share_what_has_ended() -> None:
    """What a snapshot costs must not grow with a job's finished training jobs."""
    drive = Drive(spec())
    drive.finish(0.5)
    drive.start()
    history = drive.history()
    records = history.snapshot().records
    assert records[1] is history.records[1]
    assert records[2] is not history.records[2]


def test_other_metrics_are_kept_and_decide_nothing() -> None:
    drive = Drive(spec(early=True))
    drive.start()
    drive.report(1, 3.0, metric="accuracy")
    [point] = drive.points
    assert (point.metric, point.epoch, point.value, point.objective) == ("accuracy", None, 3.0, False)
    assert drive.trials[1].epoch == 0
    assert Judge not in map(type, drive.todo())


def test_values_printed_after_an_early_stop_change_nothing() -> None:
    """The program prints on while it is being stopped: its result stays what the verdict saw."""
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, Verdict(True, "worse"))
    drive.report(1, 0.1)
    drive.exit(1, -15, killed=True)
    assert drive.trials[1].value == 0.9
    assert drive.trials[1].cursor == Cursor(20), "the bytes are read all the same"
    assert len(drive.points) == 1


def test_values_printed_after_any_other_stop_count() -> None:
    """A user's stop or an ending rests on no number: the last value is still the last value."""
    drive = Drive(spec(parallel=1))
    drive.start()
    drive.report(1, 0.9)
    drive.stop()
    drive.report(1, 0.1)
    drive.exit(1, -15, killed=True)
    assert drive.trials[1].value == 0.1


def test_a_report_after_the_end_changes_nothing() -> None:
    drive = Drive(spec(parallel=1))
    drive.finish(0.5)
    before = drive.job
    drive.report(1, 0.01)
    assert drive.job is before


def test_a_job_is_judged_once_per_epoch_up_to_the_newest() -> None:
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.9, 0.8, 0.7)
    assert drive.todo() == [Judge(1, 1, 3)]
    drive.judge(1, 3, Verdict(False))
    assert drive.todo() == []


def test_nobody_is_judged_without_early_stopping() -> None:
    drive = Drive(spec(parallel=1))
    drive.start()
    drive.report(1, 0.9)
    assert drive.todo() == []


def test_the_cause_of_a_stop_is_kept_only_when_it_was_one() -> None:
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, Verdict(True, "worse", cause=StopCause.MAX_RESOURCE))
    assert drive.trials[1].cause is StopCause.MAX_RESOURCE
    drive.exit(1, 0)
    assert (drive.trials[1].status, drive.trials[1].cause) == (TrialStatus.COMPLETED, None)


# ---- phases ----


def test_phases_are_entered_in_order_and_once() -> None:
    drive = Drive(spec(parallel=1))
    drive.start()
    for phase in (Phase.DOWNLOADING, Phase.TRAINING, Phase.UPLOADING):
        drive.later(1).enter(1, phase)
        drive.enter(1, phase)
    # A controller that takes over tells again what the files of the training job say.
    for phase in (Phase.DOWNLOADING, Phase.TRAINING, Phase.UPLOADING):
        drive.later(1).enter(1, phase)
    drive.exit(1)
    phases = [transition.phase for transition in drive.trials[1].transitions]
    assert phases == [Phase.STARTING, Phase.DOWNLOADING, Phase.TRAINING, Phase.UPLOADING, Phase.COMPLETED]
    times = [transition.at for transition in drive.trials[1].transitions]
    assert times == sorted(times)


def test_a_retry_goes_through_the_phases_again() -> None:
    drive = Drive(spec(parallel=1, retries=1))
    drive.start()
    drive.enter(1, Phase.TRAINING)
    drive.exit(1, None, Failure.INTERNAL)
    drive.launch(1)
    drive.enter(1, Phase.TRAINING)
    phases = [transition.phase for transition in drive.trials[1].transitions]
    assert phases == [Phase.STARTING, Phase.TRAINING, Phase.RESTARTING, Phase.STARTING, Phase.TRAINING]


# ---- counters ----


def test_counters_add_up() -> None:
    """Status counters and objective counters both sum to the number of training jobs launched."""
    drive = Drive(spec(max_jobs=50, parallel=2, retries=0))
    drive.finish(0.5)
    drive.finish()
    drive.finish(NAN)
    drive.fail(Failure.ALGORITHM)
    drive.fail(Failure.CLIENT)
    drive.fail(Failure.INTERNAL)
    [stopped] = drive.start()
    drive.report(stopped, 0.7)
    drive.stop_trial(stopped)
    drive.exit(stopped, -15, killed=True)
    [silent] = drive.start()
    drive.stop_trial(silent)
    drive.exit(silent, -9, killed=True)
    drive.start(2)
    counters = drive.job.counters
    assert (counters.completed, counters.stopped, counters.non_retryable, counters.retryable) == (3, 2, 2, 1)
    assert (counters.succeeded, counters.objective_failed) == (2, 6)
    live = len(drive.job.live)
    assert counters.ended + live == drive.job.launched == 10
    assert counters.succeeded + counters.objective_failed + live == drive.job.launched


# ---- the size of a job does not grow with its past ----


def test_a_job_holds_live_training_jobs_only() -> None:
    drive = Drive(spec(max_jobs=None, parallel=1))
    drive.finish(0.5)
    small = len(repr(drive.job))
    for _ in range(200):
        drive.finish(0.5)
    assert drive.job.live == {}
    assert len(repr(drive.job)) < small + 20


def test_a_change_writes_only_what_moved() -> None:
    drive = Drive(spec(max_jobs=None, parallel=4))
    drive.start(4)
    change = drive.report(2, 0.5)
    assert [trial.number for trial in change.trials] == [2]
    assert len(change.points) == 1


def test_every_row_is_written_by_the_change_that_moved_it() -> None:
    """A store that applies changes holds the same live training jobs as the job itself."""
    drive = Drive(spec(max_jobs=6, parallel=3, retries=1))
    drive.start(3)
    drive.exit(1, None, Failure.INTERNAL)
    drive.report(2, 0.5)
    drive.exit(2)
    drive.start()
    drive.stop()
    assert {n: t for n, t in drive.trials.items() if t.status.live} == dict(drive.job.live)
    for number in list(drive.job.live):
        drive.exit(number, -15, killed=True)
    assert drive.job.status is JobStatus.STOPPED
    assert not any(trial.status.live for trial in drive.trials.values())


# ---- names ----


@pytest.mark.parametrize(
    ("job", "number", "head"),
    [("my-job", 1, "my-job-001-"), ("my-job", 999, "my-job-999-"), ("my-job", 1000, "my-job-1000-")],
)
def test_children_are_named_as_amt_names_them(job: str, number: int, head: str) -> None:
    name = trial_name(job, "uid", number)
    assert name.startswith(head)
    assert len(name) == len(head) + 8
    assert set(name[-8:]) <= set("0123456789abcdef")


def test_a_name_follows_from_the_job_and_the_number() -> None:
    assert trial_name("job", "uid", 7) == trial_name("job", "uid", 7)
    assert trial_name("job", "uid", 7) != trial_name("job", "other uid", 7), "also when a job's name is used again"
    assert len({trial_name("job", "uid", number) for number in range(1, 2000)}) == 1999


def test_a_long_name_is_cut_and_stays_a_name() -> None:
    name = trial_name("a" * 49 + "-" + "b" * 30, "uid", 12)
    assert len(name) <= 63
    assert "--" not in name


def test_case_45_names_hold_no_hyperparameters() -> None:
    drive = Drive(spec(parallel=1))
    number = drive.finish(0.5)
    assert re.fullmatch(r"job-001-[0-9a-f]{8}", drive.trials[number].name)


def test_the_same_trial_under_another_uid_is_another_file() -> None:
    drive = Drive(spec(parallel=1))
    number = drive.finish(0.5)
    job = replace(drive.job, uid="fedcba9876543210")
    assert trial_name(job.name, job.uid, number) != drive.trials[number].name
