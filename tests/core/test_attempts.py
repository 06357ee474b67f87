"""Attempts of one training job: what counts to its run time, and how often it is begun again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drive import START, Drive, spec

from tunewright.core.attempts import MAX_INTERRUPTIONS
from tunewright.core.completion import deadline
from tunewright.core.events import Exited, Progressed
from tunewright.core.job import JobStatus
from tunewright.core.spec import Completion
from tunewright.core.trial import Failure, Phase, StopCause, TrialStatus, Verdict


def interrupted(drive: Drive, number: int = 1, failure: Failure = Failure.INTERRUPTED) -> None:
    drive.exit(number, None, failure)


def test_the_wait_between_attempts_is_no_run_time() -> None:
    drive = Drive(spec(job_runtime=100.0))
    drive.start()
    assert deadline(drive.job) == START + 100
    interrupted(drive.later(60))
    waiting = drive.trials[1]
    assert (waiting.status, waiting.ran, waiting.since) == (TrialStatus.PENDING, 60.0, None)
    assert deadline(drive.job) is None
    drive.later(1000).tick()
    assert drive.trials[1].status is TrialStatus.PENDING, "it ran for 60 s and waits"
    drive.launch(1)
    assert deadline(drive.job) == drive.now + 40
    drive.later(39).tick()
    assert drive.trials[1].status is TrialStatus.RUNNING
    drive.later(1).tick()
    assert drive.trials[1].status is TrialStatus.STOPPING
    assert drive.trials[1].cause is StopCause.MAX_RUNTIME
    drive.exit(1, -15, killed=True)
    ended = drive.trials[1]
    assert (ended.phase, ended.ran, ended.started, ended.ended) == (Phase.MAX_RUNTIME, 100.0, START, drive.now)


def test_a_launch_that_was_never_told_of_counts_from_the_programs_own_start() -> None:
    drive = Drive(spec())
    drive.propose()
    drive.later(30)
    drive.tell(Exited(drive.now, 1, 1, 0, started=START + 10))
    assert (drive.trials[1].started, drive.trials[1].ran) == (START + 10, 20.0)


def test_interruptions_have_an_end() -> None:
    drive = Drive(spec())
    drive.start()
    for _ in range(MAX_INTERRUPTIONS):
        interrupted(drive.later(1))
        assert drive.trials[1].status is TrialStatus.PENDING
        drive.launch(1)
    interrupted(drive.later(1))
    ended = drive.trials[1]
    assert ended.status is TrialStatus.FAILED and ended.attempt == MAX_INTERRUPTIONS + 1
    assert ended.reason.startswith("Interrupted: ")
    assert drive.job.counters.retryable == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_interruptions_do_not_use_up_retries(retries: int) -> None:
    drive = Drive(spec(retries=retries))
    drive.start()
    for _ in range(3):
        interrupted(drive.later(1))
        drive.launch(1)
    for _ in range(retries):
        interrupted(drive.later(1), failure=Failure.INTERNAL)
        assert drive.trials[1].status is TrialStatus.PENDING
        drive.launch(1)
    interrupted(drive.later(1), failure=Failure.INTERNAL)
    assert drive.trials[1].status is TrialStatus.FAILED
    assert (drive.trials[1].interruptions, drive.trials[1].ran) == (3, 4.0 + retries)


@pytest.mark.parametrize(
    ("spot", "failure", "phase"),
    [
        (True, Failure.INTERRUPTED, Phase.INTERRUPTED),
        (True, Failure.INTERNAL, Phase.RESTARTING),
        (False, Failure.INTERRUPTED, Phase.RESTARTING),
        (False, Failure.INTERNAL, Phase.RESTARTING),
    ],
)
def test_only_spot_training_is_shown_as_interrupted(spot: bool, failure: Failure, phase: Phase) -> None:
    of = spec(retries=1)
    training = replace(of.definitions[0].training, spot=spot)
    drive = Drive(replace(of, definitions=(replace(of.definitions[0], training=training),)))
    drive.start()
    interrupted(drive.later(1), failure=failure)
    assert [t.phase for t in drive.trials[1].transitions[-2:]] == [phase, Phase.STARTING]


def test_an_interruption_of_the_trial_that_reached_the_target_loses_nothing() -> None:
    drive = Drive(spec(parallel=1, completion=Completion(target=0.1)))
    drive.start()
    drive.report(1, 0.05)
    assert drive.job.ending is not None and drive.trials[1].status is TrialStatus.RUNNING
    interrupted(drive.later(1))
    ended = drive.trials[1]
    assert (ended.status, ended.cause, ended.value) == (TrialStatus.STOPPED, StopCause.ENDING, 0.05)
    assert drive.job.status is JobStatus.COMPLETED and drive.job.best is not None


@pytest.mark.parametrize("by", ["rule", "user", "job"])
def test_an_interruption_of_what_is_being_stopped_is_its_end(by: str) -> None:
    drive = Drive(spec(early=True))
    drive.start()
    drive.report(1, 0.5)
    if by == "rule":
        drive.judge(1, 1, Verdict(True, "worse"))
    elif by == "user":
        drive.stop_trial(1)
    else:
        drive.stop()
    interrupted(drive.later(1))
    ended = drive.trials[1]
    cause = StopCause.EARLY if by == "rule" else StopCause.USER
    assert (ended.status, ended.cause, ended.value, ended.failure) == (TrialStatus.STOPPED, cause, 0.5, None)
    assert drive.job.attempts == 0


def test_a_trial_ended_when_its_program_did_and_not_when_that_was_heard_of() -> None:
    drive = Drive(spec())
    drive.start()
    began = drive.now
    drive.later(100).report(1, 0.5)
    drive.tell(Exited(began + 5, 1, 1, 0))
    ended = drive.trials[1]
    assert (ended.ended, ended.ran, ended.transitions[-1].at) == (began + 5, 5.0, began + 5)
    assert drive.job.updated == drive.now


def test_what_is_heard_late_of_one_trial_does_not_move_the_end_of_another() -> None:
    drive = Drive(spec())
    drive.start(2)
    began = drive.now
    drive.later(100)
    for number in (1, 2):  # as a controller tells that takes over when both have ended
        drive.tell(Progressed(began + 4, number, 1, Phase.UPLOADING))
        drive.report(number, 0.5)
        drive.tell(Exited(began + 5, number, 1, 0))
    for number in (1, 2):
        trial = drive.trials[number]
        assert (trial.ended, trial.ran) == (began + 5, 5.0)
        assert [each.at for each in trial.transitions[-2:]] == [began + 4, began + 5]


@pytest.mark.parametrize("ended", [False, True], ids=["runs", "ended"])
def test_a_start_that_was_heard_of_late_counts_from_when_the_program_began(ended: bool) -> None:
    drive = Drive(spec())
    drive.propose()
    began = drive.now + 1
    drive.later(100).launch(1)  # by a controller that took over: the one before was gone before it could tell
    if not ended:
        drive.tell(Progressed(began, 1, 1, Phase.DOWNLOADING))
        drive.tell(Progressed(began + 2, 1, 1, Phase.TRAINING))
        assert drive.trials[1].runtime(drive.now) == 99.0
    drive.report(1, 0.5)
    drive.tell(Exited(drive.now, 1, 1, 0, started=began))
    trial = drive.trials[1]
    assert (trial.started, trial.ran) == (began, 99.0)
    if not ended:
        assert [each.at for each in trial.transitions[-3:]] == [began, began + 2, drive.now]


def test_no_program_began_before_it_was_to_start() -> None:
    drive = Drive(spec(retries=1))
    drive.start()
    first = drive.now
    interrupted(drive.later(50), failure=Failure.INTERNAL)
    again = drive.now
    drive.later(10).launch(1)
    drive.tell(Progressed(again - 30, 1, 2, Phase.DOWNLOADING))
    assert (drive.trials[1].started, drive.trials[1].since) == (first, again)
