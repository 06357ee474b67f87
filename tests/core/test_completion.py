"""When a tuning job ends, as what, and with which words; and what ends with it."""

from __future__ import annotations

import math

import pytest
from drive import START, Drive, spec

from tunewright.core.completion import FIVE_ATTEMPTS, deadline
from tunewright.core.effects import Kill, Propose
from tunewright.core.events import Exited
from tunewright.core.job import SPARE_SECONDS, JobStatus
from tunewright.core.spec import Completion, Direction
from tunewright.core.trial import Failure, ObjectiveStatus, Phase, StopCause, TrialStatus

NAN = math.nan


# ---- the budget ----


def test_a_job_ends_when_its_training_jobs_have_run() -> None:
    drive = Drive(spec(max_jobs=3, parallel=2))
    drive.start(2)
    assert drive.todo() == []
    drive.report(1, 0.5)
    drive.exit(1)
    assert drive.todo() == [Propose(3, 1)], "one is left of the budget"
    drive.start()
    drive.report(2, 0.4)
    drive.exit(2)
    assert drive.todo() == [], "the budget is spent, whatever room there is"
    assert drive.job.status is JobStatus.IN_PROGRESS
    drive.exit(3)
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.ending is not None
    assert drive.job.ending.why == "all 3 training jobs have run"


def test_more_proposals_than_room_are_not_taken() -> None:
    """Budgets are exact: a strategy that answers with too many launches no more than was asked for."""
    drive = Drive(spec(max_jobs=3, parallel=2))
    drive.propose(9)
    assert sorted(drive.job.live) == [1, 2]
    drive.propose(9)
    assert drive.job.launched == 2


def test_a_retry_is_an_attempt_of_the_same_training_job() -> None:
    drive = Drive(spec(max_jobs=1, parallel=1, retries=2))
    drive.start()
    drive.report(1, 0.9, 0.8)
    drive.exit(1, None, Failure.INTERNAL)
    trial = drive.trials[1]
    assert (trial.status, trial.attempt, trial.epoch, trial.last) == (TrialStatus.PENDING, 2, 0, None)
    assert [t.phase for t in trial.transitions[-2:]] == [Phase.RESTARTING, Phase.STARTING]
    drive.launch(1)
    drive.exit(1, None, Failure.INTERNAL)
    drive.launch(1)
    drive.report(1, 0.5)
    drive.exit(1)
    assert drive.job.launched == 1
    assert drive.trials[1].attempt == 3
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.best is not None
    assert drive.job.best.value == 0.5
    assert drive.history().records[1].curve == {1: 0.5}, "what earlier attempts reported is void"


def test_only_so_many_retries_and_none_for_the_programs_own_faults() -> None:
    drive = Drive(spec(retries=1))
    drive.start()
    drive.exit(1, None, Failure.INTERNAL)
    drive.launch(1)
    drive.exit(1, None, Failure.INTERNAL)
    assert drive.trials[1].status is TrialStatus.FAILED
    drive.start()
    drive.exit(2, 1, Failure.ALGORITHM)
    assert (drive.trials[2].status, drive.trials[2].attempt) == (TrialStatus.FAILED, 1)


def test_a_function_that_died_with_its_controller_is_attempted_again() -> None:
    drive = Drive(spec(retries=0))
    drive.start()
    drive.exit(1, None, Failure.INTERRUPTED)
    assert (drive.trials[1].status, drive.trials[1].attempt) == (TrialStatus.PENDING, 2)


def test_an_exhausted_space_ends_the_job() -> None:
    """Fewer combinations than training jobs: all of them run, and the reason says so."""
    drive = Drive(spec(max_jobs=10, parallel=2))
    drive.propose(2)
    drive.launch(1)
    drive.launch(2)
    drive.report(1, 0.3)
    drive.exit(1)
    drive.propose(1, exhausted=True)
    assert drive.todo() and Propose not in map(type, drive.todo())
    for number in (2, 3):
        drive.launch(number)
        drive.report(number, 0.4)
        drive.exit(number)
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.ending is not None
    assert drive.job.ending.why == "search space exhausted (3)"


# ---- five attempts ----


def test_five_failures_end_the_job_and_say_why() -> None:
    """Not twenty: after five training jobs without success nothing more is tried."""
    drive = Drive(spec(max_jobs=20, parallel=1))
    for _ in range(4):
        drive.fail()
        assert drive.job.status is JobStatus.IN_PROGRESS
    drive.fail()
    assert drive.job.status is JobStatus.FAILED
    assert drive.job.launched == 5
    assert drive.job.reason.startswith(FIVE_ATTEMPTS)
    assert "exit code 1" in drive.job.reason, "the last failure's own reason is told"


def test_a_long_reason_fits_the_wire() -> None:
    drive = Drive(spec(parallel=1))
    for _ in range(5):
        [number] = drive.start()
        drive.tell(Exited(drive.now, number, 1, 1, Failure.ALGORITHM, "x" * 5000))
    assert len(drive.trials[1].reason) == len(drive.job.reason) == 1024


def test_one_success_among_the_first_five_is_enough() -> None:
    drive = Drive(spec(max_jobs=20, parallel=1))
    drive.finish(0.5)
    for _ in range(12):
        drive.fail()
    assert drive.job.status is JobStatus.IN_PROGRESS


def test_a_finished_job_without_its_objective_is_an_attempt_without_success() -> None:
    drive = Drive(spec(parallel=1))
    for _ in range(5):
        drive.finish()
    assert drive.job.status is JobStatus.FAILED
    assert drive.trials[5].status is TrialStatus.COMPLETED
    assert "never appeared" in drive.trials[5].objective_reason


def test_a_diverged_job_is_neither_an_attempt_nor_a_success() -> None:
    drive = Drive(spec(max_jobs=20, parallel=1))
    for _ in range(8):
        drive.finish(0.5, NAN)
    assert drive.job.status is JobStatus.IN_PROGRESS
    for _ in range(5):
        drive.fail()
    assert drive.job.status is JobStatus.FAILED


def test_a_job_stopped_early_with_a_value_is_a_success() -> None:
    drive = Drive(spec(max_jobs=20, parallel=1))
    drive.start()
    drive.report(1, 0.5)
    drive.stop_trial(1)
    drive.exit(1, -15, killed=True)
    for _ in range(6):
        drive.fail()
    assert drive.job.status is JobStatus.IN_PROGRESS


def test_running_jobs_are_stopped_when_five_have_failed() -> None:
    drive = Drive(spec(max_jobs=20, parallel=2))
    drive.start(2)
    for number in range(2, 7):
        drive.exit(number, 1)
        if number < 6:
            drive.start()
    assert drive.todo() == [Kill(1, 1)]
    drive.exit(1, -15, killed=True)
    assert drive.job.status is JobStatus.FAILED


def test_no_success_at_all_is_a_failure_whatever_ended_it() -> None:
    drive = Drive(spec(max_jobs=3, parallel=1))
    for _ in range(3):
        drive.fail()
    assert drive.job.status is JobStatus.FAILED
    assert drive.job.reason.startswith(
        "No training job succeeded (all 3 training jobs have run). Last failure: job-003"
    )


def test_where_all_diverged_the_reason_says_so() -> None:
    drive = Drive(spec(max_jobs=2, parallel=1))
    drive.finish(math.nan)
    drive.finish(math.nan)
    assert drive.job.reason.startswith(
        "No training job succeeded (all 2 training jobs have run). Last failure: job-001"
    )
    assert "diverged: the last value of" in drive.job.reason


def test_a_stop_by_the_user_is_stopped_also_without_success() -> None:
    drive = Drive(spec(parallel=1))
    drive.fail()
    drive.start()
    drive.stop()
    drive.exit(2, -15, killed=True)
    assert (drive.job.status, drive.job.reason) == (JobStatus.STOPPED, "")


def test_stopping_everything_is_no_failure_of_the_training_jobs() -> None:
    """Six jobs interrupted before their first value; resuming must not find five failed attempts."""
    drive = Drive(spec(parallel=6))
    drive.start(6)
    drive.stop()
    for number in range(1, 7):
        drive.exit(number, -15, killed=True)
    assert drive.job.status is JobStatus.STOPPED
    drive.resume()
    assert drive.todo() == [Propose(7, 4)]


# ---- the target ----


@pytest.mark.parametrize(
    ("direction", "target", "short", "there"),
    [
        (Direction.MAXIMIZE, 0.9, 0.9 - 1e-12, 0.9),
        (Direction.MAXIMIZE, 0.9, 0.5, 0.95),
        (Direction.MINIMIZE, 0.1, 0.1 + 1e-12, 0.1),
        (Direction.MINIMIZE, -3.0, 3.0, -4.0),
    ],
)
def test_reaching_the_target_ends_the_job(direction: Direction, target: float, short: float, there: float) -> None:
    drive = Drive(spec(parallel=2, direction=direction, completion=Completion(target=target)))
    drive.start(2)
    drive.report(1, short)
    assert drive.job.ending is None, "targets are compared in float64"
    drive.report(1, there)
    assert drive.job.ending is not None
    assert drive.job.ending.why == f"target reached: {drive.trials[1].name} has {there!r}, the target is {target!r}"
    assert drive.todo() == [Kill(2, 1)], "nothing is proposed and the others are stopped"
    drive.exit(2, -15, killed=True)
    assert drive.trials[2].cause is StopCause.ENDING
    drive.exit(1)
    assert (drive.job.status, drive.job.reason) == (JobStatus.COMPLETED, "")


@pytest.mark.parametrize("value", [math.inf, NAN])
def test_a_value_that_is_not_finite_reaches_nothing(value: float) -> None:
    drive = Drive(spec(direction=Direction.MAXIMIZE, completion=Completion(target=0.9)))
    drive.start()
    drive.report(1, value)
    assert drive.job.ending is None


def test_the_job_that_reached_the_target_may_save_its_model() -> None:
    """A script saves its model after its last metric line: it has thirty seconds to end by itself."""
    drive = Drive(spec(parallel=1, completion=Completion(target=0.1)))
    drive.start()
    drive.report(1, 0.05)
    assert drive.todo() == []
    assert deadline(drive.job) == drive.now + SPARE_SECONDS
    drive.later(SPARE_SECONDS - 0.001).tick()
    assert drive.todo() == []
    drive.later(0.001).tick()
    assert drive.todo() == [Kill(1, 1)]
    assert deadline(drive.job) is None, "what is being stopped waits for its end alone"


def test_a_user_stop_spares_nobody() -> None:
    drive = Drive(spec(parallel=1, completion=Completion(target=0.1)))
    drive.start()
    drive.report(1, 0.05)
    drive.stop()
    assert drive.todo() == [Kill(1, 1)]
    drive.exit(1, -15, killed=True)
    assert drive.job.status is JobStatus.STOPPED


# ---- no improvement ----


def test_no_improvement_ends_the_job() -> None:
    drive = Drive(spec(max_jobs=100, parallel=1, completion=Completion(not_improving=3)))
    for value in (1.0, 0.995, 0.99, 0.95):
        drive.finish(value)
    assert drive.job.not_improving == 0, "0.95 is more than 1 % better than the best of its time"
    for value in (0.96, 0.95, 0.949):
        assert drive.job.status is JobStatus.IN_PROGRESS
        drive.finish(value)
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.ending is not None
    assert drive.job.ending.why == "no improvement by 1 % over 0.949 in 3 training jobs (limit 3)"


@pytest.mark.parametrize(
    ("direction", "best", "value", "improves"),
    [
        (Direction.MAXIMIZE, 0.5, 0.505, True),
        (Direction.MAXIMIZE, 0.5, 0.504, False),
        (Direction.MAXIMIZE, -0.5, -0.495, True),
        (Direction.MAXIMIZE, -0.5, -0.496, False),
        (Direction.MAXIMIZE, 0.5, 0.4, False),
        (Direction.MINIMIZE, 2.0, 1.97, True),
        (Direction.MINIMIZE, 2.0, 1.99, False),
        (Direction.MINIMIZE, -2.0, -2.03, True),
        (Direction.MINIMIZE, 2.0, 3.0, False),
        (Direction.MINIMIZE, 0.0, -1e-9, True),
        (Direction.MINIMIZE, 0.0, 0.0, False),
    ],
)
def test_improvement_is_one_percent_of_the_best(
    direction: Direction, best: float, value: float, improves: bool
) -> None:
    drive = Drive(spec(parallel=1, direction=direction))
    drive.finish(best)
    drive.finish(value)
    assert drive.job.not_improving == (0 if improves else 1)


def test_only_finished_jobs_with_a_value_count_as_not_improving() -> None:
    drive = Drive(spec(max_jobs=20, parallel=1))
    drive.finish(0.5)
    drive.fail()
    drive.finish(NAN)
    drive.finish()
    assert drive.job.not_improving == 0
    drive.finish(0.6)
    assert drive.job.not_improving == 1


def test_the_count_is_kept_without_the_criterion() -> None:
    """AMT reports it in TuningJobCompletionDetails whatever was configured."""
    drive = Drive(spec(max_jobs=20, parallel=1))
    for _ in range(9):
        drive.finish(0.5)
    assert drive.job.not_improving == 8
    assert drive.job.status is JobStatus.IN_PROGRESS


# ---- convergence ----


@pytest.mark.parametrize("ends", [True, False])
def test_convergence_is_noted_and_ends_the_job_only_when_asked_to(ends: bool) -> None:
    drive = Drive(spec(parallel=1, completion=Completion(on_convergence=ends)))
    drive.finish(0.5)
    drive.later(7).propose(1, converged=True)
    assert drive.job.converged_at == START + 7
    drive.later(7).propose(0, converged=True)
    assert drive.job.converged_at == START + 7, "the time is that of the first word"
    assert (drive.job.ending is not None) is ends


# ---- run time ----


def test_the_run_time_ends_the_job() -> None:
    drive = Drive(spec(parallel=2, runtime=120.0))
    drive.finish(0.5)
    drive.start(2)
    assert deadline(drive.job) == START + 120
    drive.later(119.999).tick()
    assert drive.job.ending is None
    drive.later(0.001).tick()
    assert drive.todo() == [Kill(2, 1), Kill(3, 1)]
    drive.exit(2, -15, killed=True)
    assert drive.job.status is JobStatus.IN_PROGRESS, "until the last is gone"
    drive.exit(3, -15, killed=True)
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.ending is not None
    assert drive.job.ending.why == "run time is up: 120 s (MaxRuntimeInSeconds)"


def test_the_run_time_is_looked_at_whatever_happens() -> None:
    """Any event after the deadline ends the job; it does not have to be a tick."""
    drive = Drive(spec(parallel=2, runtime=120.0))
    drive.start(2)
    drive.later(500).report(1, 0.5)
    assert drive.job.ending is not None


def test_a_training_job_has_its_own_run_time() -> None:
    drive = Drive(spec(parallel=2, job_runtime=60.0))
    drive.start()
    drive.later(30).start()
    assert deadline(drive.job) == START + 60
    drive.report(1, 0.7)
    drive.later(30).tick()
    assert drive.todo() == [Kill(1, 1)]
    assert deadline(drive.job) == START + 90
    drive.exit(1, -15, killed=True)
    trial = drive.trials[1]
    assert (trial.status, trial.phase, trial.cause) == (
        TrialStatus.STOPPED,
        Phase.MAX_RUNTIME,
        StopCause.MAX_RUNTIME,
    )
    assert trial.value == 0.7
    assert drive.job.status is JobStatus.IN_PROGRESS


def test_without_limits_nothing_is_due() -> None:
    drive = Drive()
    drive.start()
    assert deadline(drive.job) is None


def test_a_finished_job_has_no_deadline() -> None:
    drive = Drive(spec(max_jobs=1, parallel=1, runtime=120.0, job_runtime=60.0))
    drive.finish(0.5)
    assert drive.job.status is JobStatus.COMPLETED
    assert deadline(drive.job) is None


# ---- whichever comes first ----


def test_the_first_criterion_met_is_the_reason() -> None:
    completion = Completion(target=0.1, not_improving=3)
    drive = Drive(spec(max_jobs=2, parallel=1, completion=completion, runtime=3600.0))
    drive.finish(0.5)
    [number] = drive.start()
    drive.report(number, 0.1)
    drive.later(4000).exit(number)
    assert drive.job.ending is not None
    assert drive.job.ending.why.startswith("target reached")


def test_where_nothing_failed_no_failure_is_told() -> None:
    drive = Drive(spec(parallel=1, runtime=10.0))
    drive.start()
    drive.later(20).tick()
    drive.exit(1, -15, killed=True)
    why = "No training job succeeded (run time is up: 10 s (MaxRuntimeInSeconds))."
    assert (drive.job.status, drive.job.reason) == (JobStatus.FAILED, why)


def test_a_user_stop_overrules_an_ending_under_way() -> None:
    drive = Drive(spec(parallel=1, runtime=10.0))
    drive.finish(0.5)
    drive.start()
    drive.later(20).tick()
    drive.stop()
    assert drive.job.status is JobStatus.STOPPING
    drive.exit(2, -15, killed=True)
    assert drive.job.status is JobStatus.STOPPED


def test_an_ending_starts_nothing_more() -> None:
    drive = Drive(spec(parallel=3))
    drive.propose(1)
    drive.stop()
    drive.propose(2)
    assert drive.job.launched == 1
    assert drive.todo() == [Kill(1, 1)], "also what was decided and not started"


def test_the_run_time_stands_still_when_the_job_has_ended() -> None:
    drive = Drive(spec(max_jobs=1, parallel=1))
    drive.start()
    drive.report(1, 0.5)
    assert drive.job.runtime(drive.now + 25) == 25
    drive.later(40).exit(1)
    assert drive.job.runtime(drive.now + 1000) == 40


def test_what_objective_status_says() -> None:
    drive = Drive(spec(max_jobs=20, parallel=1))
    good, diverged, silent, failed = drive.finish(0.5), drive.finish(NAN), drive.finish(), drive.fail()
    [live] = drive.start()
    statuses = [drive.trials[n].objective_status for n in (good, diverged, silent, failed, live)]
    bad = ObjectiveStatus.FAILED
    assert statuses == [ObjectiveStatus.SUCCEEDED, bad, bad, bad, ObjectiveStatus.PENDING]
