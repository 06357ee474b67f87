"""Attempts of one training job: what counts to its run time, and how often it is begun again."""

from __future__ import annotations

import pytest
from drive import START, Drive, spec

from tunewright.core.attempts import MAX_INTERRUPTIONS
from tunewright.core.completion import deadline
from tunewright.core.events import Exited
from tunewright.core.trial import Failure, Phase, StopCause, TrialStatus


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
