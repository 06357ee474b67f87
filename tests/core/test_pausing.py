"""Pauses and promotions: what a paused training job holds, how it goes on, and how it ends."""

from __future__ import annotations

import pytest
from drive import START, Drive, spec

from tunewright.core.completion import deadline
from tunewright.core.effects import Kill, Launch, Promote, Propose
from tunewright.core.events import Judged, Promoted, Promotion
from tunewright.core.job import JobStatus
from tunewright.core.spec import Completion, JobSpec
from tunewright.core.trial import Failure, Phase, StopCause, TrialStatus, Verdict

PAUSE = Verdict(True, "too far behind", 0.7, 0.5, StopCause.PAUSED)
FIT = Verdict(False, "fit", 0.5, 0.5)


def promoting(**more: object) -> JobSpec:
    # What a test says of the spec is its own business.
    return spec(promotion=True, **more)  # type: ignore[arg-type]


def paused_with(**more: object) -> Drive:
    """Training job 1 is paused after two epochs and ten seconds; nothing else was begun."""
    drive = Drive(promoting(**{"parallel": 1, **more}))
    drive.start()
    drive.later(10)
    drive.pause(0.9, 0.7, number=1)
    return drive


def test_a_paused_training_job_holds_no_place() -> None:
    drive = paused_with()
    trial = drive.trials[1]
    assert (trial.status, trial.attempt, trial.phase) == (TrialStatus.PAUSED, 1, Phase.INTERRUPTED)
    assert trial.transitions[-1].message == "Paused: too far behind"
    assert (trial.last, trial.epoch, trial.value) == (0.7, 2, None)
    assert (trial.ran, trial.since, trial.ended) == (10.0, None, None)
    assert not drive.job.live and drive.job.unfinished == 1 and drive.job.counters.ended == 0
    assert deadline(drive.job) is None


def test_who_goes_on_is_asked_before_anything_new_is_begun() -> None:
    drive = paused_with()
    assert drive.todo() == [Promote(1, drive.job.news)]
    drive.promote()
    assert drive.todo() == [Propose(2, 1)], "nobody goes on, as things stand"
    drive.start()
    assert drive.todo() == []
    drive.pause(0.4, number=2)
    assert drive.todo() == [Promote(1, drive.job.news)], "things stand differently now"


def test_an_end_is_news_too() -> None:
    """One that failed is not compared any more, so that another may be among the best."""
    drive = paused_with(max_jobs=2)
    drive.promote()
    drive.start()
    drive.promote()
    drive.exit(2, 1)
    assert drive.todo() == [Promote(1, drive.job.news)]
    assert drive.job.status is JobStatus.IN_PROGRESS


def test_a_snapshot_of_a_paused_trial_stays_as_it_was() -> None:
    drive = paused_with()
    history = drive.history()
    snapshot = history.snapshot()
    assert snapshot.records[1].curve is history.records[1].curve, "shared while nothing can grow"
    history.apply(drive.promote(1).facts)
    drive.launch(1)
    history.apply(drive.report(1, 0.3).facts)
    assert history.records[1].curve == {1: 0.9, 2: 0.7, 3: 0.3}
    assert snapshot.records[1].curve == {1: 0.9, 2: 0.7}


def test_a_promoted_training_job_is_attempted_again_on_the_same_curve() -> None:
    drive = paused_with()
    drive.later(1000).promote(1)
    trial = drive.trials[1]
    assert (trial.status, trial.attempt, trial.name) == (TrialStatus.PENDING, 2, drive.trials[1].name)
    assert drive.todo() == [Launch(1, 2)]
    drive.launch(1)
    drive.report(1, 0.3)
    drive.later(5).exit(1)
    ended = drive.trials[1]
    assert (ended.status, ended.value, ended.epoch) == (TrialStatus.COMPLETED, 0.3, 3)
    assert (ended.started, ended.ran) == (START, 15.0), "the pause is no run time"
    assert drive.history().records[1].curve == {1: 0.9, 2: 0.7, 3: 0.3}
    assert {(p.attempt, p.epoch) for p in drive.points} == {(1, 1), (1, 2), (1, 3)}


def test_what_is_printed_until_the_program_is_gone_counts() -> None:
    drive = Drive(promoting(parallel=1))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, PAUSE)
    drive.report(1, 0.8, 0.7)
    drive.exit(1, -15, killed=True)
    drive.promote(1)
    drive.launch(1)
    drive.report(1, 0.6)
    assert drive.trials[1].epoch == 4
    assert drive.history().records[1].weighed == 3, "no rung up to there asks again"


def test_a_stale_answer_changes_nothing() -> None:
    drive = paused_with()
    stale = Promoted(drive.now, drive.job.news, (Promotion(1, FIT),))
    drive.tell(stale)
    drive.launch(1)
    drive.pause(0.6, number=1)
    before = drive.job
    drive.tell(stale)
    drive.tell(Promoted(drive.now, drive.job.news - 1))
    assert drive.job is before
    drive.promote()
    again = drive.job
    drive.promote()
    assert drive.job is again


def test_an_answer_that_is_told_twice_is_told_once() -> None:
    drive = paused_with(parallel=3)
    drive.promote()
    drive.start()
    drive.pause(0.8, number=2)
    answer = Promoted(drive.now, drive.job.news, (Promotion(1, FIT),))
    drive.tell(answer)
    before = drive.job
    assert Promote(2, before.news) in drive.todo(), "one is paused still, and there is room"
    drive.tell(answer)
    assert drive.job is before


def test_no_more_go_on_than_there_are_places() -> None:
    drive = Drive(promoting(parallel=2))
    drive.start(2)
    drive.pause(0.5, number=1)
    drive.pause(0.4, number=2)
    drive.promote()
    drive.start(1)
    drive.report(3, 0.6)
    drive.judge(3, 1, Verdict(False))
    assert drive.todo()[0] == Promote(1, drive.job.news)
    drive.promote(2, 1, 7, 2)
    assert {n: t.status for n, t in drive.job.live.items()} == {3: TrialStatus.RUNNING, 2: TrialStatus.PENDING}
    assert list(drive.job.paused) == [1]


def test_a_program_that_ended_before_its_pause_has_its_own_end() -> None:
    for code, failure, status in [
        (0, None, TrialStatus.COMPLETED),
        (1, Failure.ALGORITHM, TrialStatus.FAILED),
        (None, Failure.INTERNAL, TrialStatus.FAILED),
    ]:
        drive = Drive(promoting(parallel=1))
        drive.start()
        drive.report(1, 0.9)
        drive.judge(1, 1, PAUSE)
        drive.exit(1, code, failure)
        assert drive.trials[1].status is status


def test_a_machine_that_goes_down_while_a_program_is_paused_has_paused_it() -> None:
    drive = Drive(promoting(parallel=1))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, PAUSE)
    drive.exit(1, None, Failure.INTERRUPTED)
    assert drive.trials[1].status is TrialStatus.PAUSED


def test_an_interruption_after_a_pause_keeps_the_curve_and_uses_up_no_retry() -> None:
    drive = paused_with(retries=1)
    drive.promote(1)
    drive.launch(1)
    drive.report(1, 0.6)
    drive.exit(1, None, Failure.INTERRUPTED)
    drive.launch(1)
    drive.exit(1, None, Failure.INTERNAL)
    trial = drive.trials[1]
    assert (trial.status, trial.attempt, trial.origin) == (TrialStatus.PENDING, 4, 1)
    drive.launch(1)
    drive.report(1, 0.5)
    assert drive.history().records[1].curve == {1: 0.9, 2: 0.7, 3: 0.6, 4: 0.5}
    drive.exit(1, None, Failure.INTERNAL)
    assert drive.trials[1].status is TrialStatus.FAILED, "one retry, no more"


def test_the_budget_is_of_training_jobs_and_not_of_attempts() -> None:
    drive = paused_with(max_jobs=2)
    drive.promote()
    drive.start()
    drive.pause(0.6, number=2)
    assert drive.todo() == [Promote(1, drive.job.news)], "none may be begun, but one may go on"
    drive.promote(2)
    drive.launch(2)
    drive.report(2, 0.2)
    drive.exit(2)
    assert drive.job.status is JobStatus.IN_PROGRESS
    assert drive.todo() == [Promote(1, drive.job.news)]
    drive.promote()
    assert drive.job.status is JobStatus.COMPLETED
    assert drive.job.ending is not None and drive.job.ending.why.endswith("have run, 1 of them up to a pause")
    assert drive.job.best is not None and (drive.job.best.number, drive.job.best.value) == (2, 0.2)


def test_paused_ones_end_with_the_job_as_stopped_early() -> None:
    drive = paused_with(max_jobs=1)
    drive.promote()
    trial = drive.trials[1]
    assert (trial.status, trial.cause, trial.phase) == (TrialStatus.STOPPED, StopCause.EARLY, Phase.STOPPED)
    assert (trial.reason, trial.value, trial.ended) == ("too far behind", 0.7, drive.now)
    assert trial.verdict == PAUSE
    assert (drive.job.status, drive.job.counters.stopped) == (JobStatus.COMPLETED, 1)
    assert [r.paused for r in drive.history().records.values()] == [False]


@pytest.mark.parametrize("how", ["user", "target", "time"])
def test_whatever_ends_the_job_ends_the_paused_ones_at_once(how: str) -> None:
    drive = paused_with(parallel=1, runtime=100.0, completion=Completion(target=0.1))
    drive.promote()
    drive.start()
    match how:
        case "user":
            drive.stop()
        case "target":
            drive.report(2, 0.05)
        case "time":
            drive.later(100).tick()
    assert drive.trials[1].status is TrialStatus.STOPPED
    assert all(not isinstance(effect, Kill) or effect.number == 2 for effect in drive.todo())
    drive.later(31).tick()
    drive.exit(2, -15, killed=True)
    assert drive.job.status is (JobStatus.STOPPED if how == "user" else JobStatus.COMPLETED)


def test_a_stop_of_the_job_overrules_a_pause_that_is_under_way() -> None:
    drive = Drive(promoting(parallel=1))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, PAUSE)
    drive.stop()
    drive.exit(1, -15, killed=True)
    assert (drive.trials[1].status, drive.job.status) == (TrialStatus.STOPPED, JobStatus.STOPPED)
    assert drive.trials[1].cause is StopCause.EARLY


def test_a_user_may_stop_one_that_is_paused_or_about_to_be() -> None:
    drive = paused_with(parallel=2)
    drive.start()
    drive.report(2, 0.8)
    drive.judge(2, 1, PAUSE)
    for number in (1, 2):
        drive.stop_trial(number)
    drive.exit(2, -15, killed=True)
    assert {t.status for t in drive.trials.values()} == {TrialStatus.STOPPED}
    assert {t.cause for t in drive.trials.values()} == {StopCause.USER}
    assert drive.job.status is JobStatus.IN_PROGRESS


def test_waiting_counts_to_the_longest_wait_and_not_to_the_longest_run() -> None:
    drive = paused_with(job_runtime=30.0, job_wait=100.0)
    assert deadline(drive.job) == START + 100
    drive.later(80).tick()
    assert drive.trials[1].status is TrialStatus.PAUSED
    drive.later(10).tick()
    trial = drive.trials[1]
    assert (trial.status, trial.cause, trial.phase) == (TrialStatus.STOPPED, StopCause.MAX_WAIT, Phase.MAX_WAIT)
    assert drive.job.counters.stopped == 1


def test_five_failures_after_a_pause_do_not_fail_the_job() -> None:
    drive = paused_with(max_jobs=9)
    drive.promote()
    for _ in range(5):
        drive.fail()
        drive.promote()
    assert drive.job.status is JobStatus.IN_PROGRESS, "the paused one brought a value"
    drive.stop_trial(1)
    assert drive.job.status is JobStatus.IN_PROGRESS, "and keeps it"


def test_what_a_paused_training_job_left_stays_with_it() -> None:
    drive = Drive(promoting(parallel=1, max_jobs=1))
    drive.start()
    drive.report(1, 0.9)
    drive.judge(1, 1, PAUSE)
    exited = drive.exit(1, -15, killed=True)
    assert exited.trials[0].model == ""
    assert drive.trials[1].exit_code == -15
    drive.promote()
    assert drive.trials[1].exit_code == -15


def test_strict_and_other_strategies_know_no_pause() -> None:
    drive = Drive(spec(parallel=1, early=True))
    drive.start()
    drive.report(1, 0.9)
    drive.tell(Judged(drive.now, 1, 1, 1, PAUSE))
    drive.exit(1, -15, killed=True)
    assert drive.trials[1].status is TrialStatus.STOPPED and not drive.job.paused
