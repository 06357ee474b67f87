"""Each event in each status of a trial and of a job: where it leads, or that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from drive import START, UID, Drive, spec

from tunewright.core.change import Change
from tunewright.core.effects import Judge, Kill, Launch, Propose
from tunewright.core.events import Created, Exited, Judged, Launched, Progressed, Reported, Ticked
from tunewright.core.job import JobStatus
from tunewright.core.machine import step, todo
from tunewright.core.trial import Cursor, Failure, Observation, Phase, StopCause, TrialStatus, Verdict

PENDING, RUNNING, STOPPING = TrialStatus.PENDING, TrialStatus.RUNNING, TrialStatus.STOPPING
PAUSED = TrialStatus.PAUSED
COMPLETED, STOPPED, FAILED = TrialStatus.COMPLETED, TrialStatus.STOPPED, TrialStatus.FAILED
STOP, GO = Verdict(True, "worse"), Verdict(False, "fine")


def trial_in(status: TrialStatus) -> Drive:
    """A judged job whose trial 1 is in `status`, and whose trial 2 keeps the job going."""
    drive = Drive(spec(parallel=2, early=True, retries=1))
    drive.start(2)
    match status:
        case TrialStatus.PENDING:
            drive = Drive(spec(parallel=2, early=True, retries=1))
            drive.propose(2)
        case TrialStatus.RUNNING:
            drive.report(1, 0.5)
        case TrialStatus.STOPPING:
            drive.report(1, 0.5)
            drive.stop_trial(1)
        case TrialStatus.PAUSED:
            drive = Drive(spec(parallel=2, retries=1, promotion=True))
            drive.start(2)
            drive.pause(0.5, number=1)
        case TrialStatus.COMPLETED:
            drive.report(1, 0.5)
            drive.exit(1)
        case TrialStatus.STOPPED:
            drive.stop_trial(1)
            drive.exit(1, -15, killed=True)
        case TrialStatus.FAILED:
            drive.exit(1, 1)
    assert drive.trials[1].status is status
    return drive.later(1)


EVENTS: dict[str, Callable[[Drive], Change]] = {
    "launched": lambda drive: drive.tell(Launched(drive.now, 1, drive.attempt(1), "another handle")),
    "progressed": lambda drive: drive.enter(1, Phase.TRAINING),
    "reported": lambda drive: drive.report(1, 0.25),
    "judged to go on": lambda drive: drive.judge(1, 9, GO),
    "judged to stop": lambda drive: drive.judge(1, 9, STOP),
    "exited well": lambda drive: drive.exit(1),
    "exited badly": lambda drive: drive.exit(1, 3),
    "exited killed": lambda drive: drive.exit(1, -15, killed=True),
    "lost": lambda drive: drive.exit(1, None, Failure.INTERNAL),
    "interrupted": lambda drive: drive.exit(1, None, Failure.INTERRUPTED),
    "stop asked for it": lambda drive: drive.stop_trial(1),
    "stop asked for all": lambda drive: drive.stop(),
    "told that it goes on": lambda drive: drive.promote(1),
}

TABLE: dict[str, dict[TrialStatus, TrialStatus]] = {
    #                     from Pending         from InProgress      from Stopping
    "launched": {PENDING: RUNNING, RUNNING: RUNNING, STOPPING: STOPPING},
    "progressed": {PENDING: PENDING, RUNNING: RUNNING},
    "reported": {PENDING: PENDING, RUNNING: RUNNING, STOPPING: STOPPING},
    "judged to go on": {RUNNING: RUNNING},
    "judged to stop": {RUNNING: STOPPING},
    "exited well": {PENDING: COMPLETED, RUNNING: COMPLETED, STOPPING: COMPLETED},
    "exited badly": {PENDING: FAILED, RUNNING: FAILED, STOPPING: FAILED},
    "exited killed": {PENDING: STOPPED, RUNNING: STOPPED, STOPPING: STOPPED},
    "lost": {PENDING: PENDING, RUNNING: PENDING, STOPPING: FAILED},
    "interrupted": {PENDING: PENDING, RUNNING: PENDING, STOPPING: STOPPED},
    "stop asked for it": {PENDING: STOPPING, RUNNING: STOPPING, PAUSED: STOPPED},
    "stop asked for all": {PENDING: STOPPING, RUNNING: STOPPING, PAUSED: STOPPED},
    "told that it goes on": {PAUSED: PENDING},
}
"""Event -> status before -> status after. What is not listed changes nothing about the trial."""


@pytest.mark.parametrize("status", TrialStatus)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_moves_a_trial_as_the_table_says(event: str, status: TrialStatus) -> None:
    drive = trial_in(status)
    before = drive.trials[1]
    change = EVENTS[event](drive)
    after = drive.trials[1]
    if status in TABLE[event]:
        assert after != before, "a listed event says something new"
        assert after.status is TABLE[event][status]
    else:
        assert after == before
        assert all(trial.number != 1 for trial in change.trials)
        assert not change.points and not change.facts


@pytest.mark.parametrize("status", TrialStatus)
def test_a_listed_event_of_another_attempt_changes_nothing(status: TrialStatus) -> None:
    drive = trial_in(status)
    before = drive.job
    for attempt in (0, 2, 99):
        drive.tell(Launched(drive.now, 1, attempt, "handle"))
        drive.tell(Progressed(drive.now, 1, attempt, Phase.UPLOADING))
        drive.tell(Reported(drive.now, 1, attempt, Cursor(), Cursor(5), (Observation("loss", 0.0, 1.0),)))
        drive.tell(Judged(drive.now, 1, attempt, 9, STOP))
        drive.tell(Exited(drive.now, 1, attempt, 0))
    assert drive.job is before


def test_events_of_a_trial_that_never_was_change_nothing() -> None:
    drive = trial_in(RUNNING)
    before = drive.job
    drive.tell(Launched(drive.now, 7, 1, "handle"))
    drive.tell(Exited(drive.now, 7, 1, 0))
    drive.stop_trial(7)
    assert drive.job is before


def test_a_late_verdict_or_one_on_what_was_judged_changes_nothing() -> None:
    drive = trial_in(RUNNING)
    drive.judge(1, 1, GO)
    before = drive.job
    drive.judge(1, 1, STOP)
    assert drive.job is before


def test_what_is_owed_by_status() -> None:
    owed = {status: [e for e in trial_in(status).todo() if getattr(e, "number", 0) == 1] for status in TrialStatus}
    assert owed == {
        PENDING: [Launch(1, 1)],
        RUNNING: [Judge(1, 1, 1)],
        STOPPING: [Kill(1, 1)],
        PAUSED: [],
        COMPLETED: [],
        STOPPED: [],
        FAILED: [],
    }


def test_kills_come_first_and_proposals_last() -> None:
    drive = Drive(spec(parallel=4))
    drive.start(2)
    drive.propose(1)
    drive.stop_trial(2)
    assert drive.todo() == [Kill(2, 1), Launch(3, 1), Propose(4, 1)]


# ---- the job ----


def job_in(status: JobStatus, *, strict: bool = False) -> Drive:
    drive = Drive(spec(max_jobs=2, parallel=1, strict=strict))
    match status:
        case JobStatus.IN_PROGRESS:
            drive.start()
        case JobStatus.STOPPING:
            drive.start()
            drive.stop()
        case JobStatus.COMPLETED:
            drive.finish(0.5)
            drive.finish(0.25)
        case JobStatus.STOPPED:
            drive.finish(0.5)
            drive.stop()
        case JobStatus.FAILED:
            drive.fail()
            drive.fail()
    assert drive.job.status is status
    return drive.later(1)


JOB_TABLE: dict[str, tuple[Callable[[Drive], object], dict[JobStatus, JobStatus]]] = {
    "stop": (Drive.stop, {JobStatus.IN_PROGRESS: JobStatus.STOPPING}),
    "resume": (
        lambda drive: drive.resume(1),
        {JobStatus.COMPLETED: JobStatus.IN_PROGRESS, JobStatus.STOPPED: JobStatus.IN_PROGRESS},
    ),
    "tick": (Drive.tick, {}),
    "proposed": (lambda drive: drive.propose(3), {}),
    "exited": (
        lambda drive: drive.tell(Exited(drive.now, 1, 1, -15, killed=True)),
        {JobStatus.STOPPING: JobStatus.STOPPED},
    ),
}


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("event", JOB_TABLE)
def test_an_event_moves_a_job_as_the_table_says(event: str, status: JobStatus) -> None:
    tell, moves = JOB_TABLE[event]
    drive = job_in(status)
    before = drive.job
    tell(drive)
    assert drive.job.status is moves.get(status, status)
    if before.status.terminal and status not in moves:
        assert drive.job is before


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.STOPPED])
def test_strict_knows_no_resuming(status: JobStatus) -> None:
    drive = job_in(status, strict=True)
    before = drive.job
    drive.resume(5)
    assert drive.job is before


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.STOPPED, JobStatus.FAILED])
def test_a_finished_job_is_owed_nothing(status: JobStatus) -> None:
    drive = job_in(status)
    assert drive.todo() == []
    assert drive.job.ended is not None
    assert drive.job.live == {}


def test_a_job_that_is_stopped_twice_was_stopped_when_it_was_first_asked() -> None:
    drive = job_in(JobStatus.STOPPING)
    before = drive.job
    drive.later(1).stop()
    assert drive.job is before


def test_what_an_ending_job_is_told_of_its_search_comes_too_late() -> None:
    drive = job_in(JobStatus.STOPPING)
    before = drive.job
    drive.propose(0, exhausted=True, converged=True)
    assert drive.job is before


def test_a_created_job_is_created_once() -> None:
    first = step(None, Created(START, UID, spec()))
    again = step(first.job, Created(START + 5, "another", spec(max_jobs=99)))
    assert again.job is first.job
    assert todo(first.job) == [Propose(1, 2)]


def test_nothing_happens_to_a_job_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="Ticked before Created"):
        step(None, Ticked(START))


def test_time_never_runs_backwards_in_a_job() -> None:
    drive = trial_in(RUNNING)
    updated = drive.job.updated
    drive.now = START - 500
    drive.exit(1)
    assert drive.trials[1].ended is not None
    assert drive.trials[1].ended >= updated
    assert drive.job.updated >= updated


def test_a_stop_by_name_of_one_training_job_leaves_the_tuning_job_running() -> None:
    drive = trial_in(RUNNING)
    drive.stop_trial(1)
    drive.exit(1, -15, killed=True)
    assert drive.trials[1].cause is StopCause.USER
    assert drive.trials[1].value == 0.5
    assert drive.job.status is JobStatus.IN_PROGRESS
    assert Propose(3, 1) in drive.todo()


# ---- a plain training job ----


@pytest.mark.parametrize(
    ("code", "failure", "killed", "status"),
    [
        (0, None, False, JobStatus.COMPLETED),
        (1, Failure.ALGORITHM, False, JobStatus.FAILED),
        (None, Failure.CLIENT, False, JobStatus.FAILED),
        (-15, None, True, JobStatus.STOPPED),
    ],
)
def test_a_plain_training_job_ends_with_its_one_trial(
    code: int | None, failure: Failure | None, killed: bool, status: JobStatus
) -> None:
    drive = Drive(spec(strategy=None, max_jobs=None))
    assert drive.todo() == [Launch(1, 1)], "nothing is proposed for it"
    assert drive.trials[1].name == "job", "it has the job's own name"
    drive.launch(1)
    if killed:
        drive.stop()
    drive.exit(1, code, failure, killed=killed)
    assert drive.job.status is status
    assert bool(drive.job.reason) is (status is JobStatus.FAILED)
    assert drive.todo() == []


def test_a_training_job_that_ends_well_before_its_kill_is_completed() -> None:
    drive = Drive(spec(strategy=None, max_jobs=None))
    drive.launch(1)
    drive.stop()
    drive.exit(1, 0)
    assert drive.job.status is JobStatus.COMPLETED
