"""Going on with a finished job (extended): numbers, time and criteria after Resumed."""

from __future__ import annotations

from drive import Drive, spec

from tunewright.core.completion import deadline
from tunewright.core.effects import Propose
from tunewright.core.job import JobStatus
from tunewright.core.spec import Completion


def test_a_stopped_job_goes_on_where_it_stopped() -> None:
    drive = Drive(spec(max_jobs=3, parallel=1, runtime=100.0))
    drive.finish(0.5)
    drive.later(40).stop()
    assert drive.job.status is JobStatus.STOPPED
    assert drive.job.ran == 40
    drive.later(1000).resume()
    assert drive.job.status is JobStatus.IN_PROGRESS
    assert drive.todo() == [Propose(2, 1)], "numbers go on"
    assert drive.job.runtime(drive.now) == 40, "the time between does not count"
    assert deadline(drive.job) == drive.now + 60
    drive.finish(0.4)
    drive.finish(0.6)
    assert (drive.job.status, drive.job.launched) == (JobStatus.COMPLETED, 3)
    assert drive.job.best is not None
    assert drive.job.best.value == 0.4


def test_a_job_that_used_up_its_run_time_gets_it_again() -> None:
    drive = Drive(spec(max_jobs=9, parallel=1, runtime=100.0))
    drive.finish(0.5)
    drive.later(100).tick()
    assert drive.job.status is JobStatus.COMPLETED
    drive.later(1000).resume(1)
    assert drive.job.status is JobStatus.IN_PROGRESS
    assert deadline(drive.job) == drive.now + 100
    drive.later(99).tick()
    assert drive.job.status is JobStatus.IN_PROGRESS
    drive.later(1).tick()
    assert (drive.job.status, drive.job.runtime(drive.now)) == (JobStatus.COMPLETED, 200)


def test_a_completed_job_may_get_more_training_jobs() -> None:
    drive = Drive(spec(max_jobs=1, parallel=1))
    drive.finish(0.5)
    drive.resume(2)
    assert (drive.job.budget, drive.todo()) == (3, [Propose(2, 1)])
    drive.finish(0.4)
    drive.finish(0.45)
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.counters.succeeded == 3


def test_resuming_with_nothing_left_to_do_ends_again() -> None:
    drive = Drive(spec(max_jobs=1, parallel=1))
    drive.finish(0.5)
    drive.resume()
    assert drive.job.status is JobStatus.COMPLETED


def test_resuming_never_takes_training_jobs_away() -> None:
    drive = Drive(spec(max_jobs=3, parallel=1))
    drive.finish(0.5)
    drive.stop()
    drive.resume(-2)
    assert (drive.job.budget, drive.todo()) == (3, [Propose(2, 1)])


def test_failing_to_improve_is_counted_afresh_after_resuming() -> None:
    drive = Drive(spec(max_jobs=100, parallel=1, completion=Completion(not_improving=3)))
    for value in (0.5, 0.5, 0.5, 0.5):
        drive.finish(value)
    assert drive.job.status is JobStatus.COMPLETED
    drive.resume()
    for _ in range(2):
        drive.finish(0.5)
        assert drive.job.status is JobStatus.IN_PROGRESS
    drive.finish(0.5)
    assert drive.job.status is JobStatus.COMPLETED
