"""What every Store must do. Subclass `StoreSuite` in a test file and override the fixture `store`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tunewright.control.recorder import Recorder, fold
from tunewright.core.errors import AlreadyExists, NotFound, StaleVersion
from tunewright.core.events import (
    Created,
    Event,
    Exited,
    Judged,
    Launched,
    Progressed,
    Proposal,
    Proposed,
    Reported,
    Resumed,
    StopAsked,
    Ticked,
    TrialStopAsked,
)
from tunewright.core.history import History
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.ports import Owner, Store
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Space
from tunewright.core.spec import Completion, Definition, Direction, JobSpec, Limits, Objective, Strategy, Training
from tunewright.core.trial import Cursor, Failure, Observation, Phase, StopCause, Verdict
from tunewright.testing.same import same
from tunewright.testing.world import FakeClock

POINT = {"rate": 0.1, "layers": 3, "kind": True}
OWNER = Owner("host", "boot", 1, 10.5)
OTHER = Owner("host", "boot", 2, 11.5)


def tuning_spec(name: str = "Digits", *, jobs: int = 20, parallel: int = 6, retries: int = 1) -> JobSpec:
    """A tuning job with one parameter of each kind."""
    space = Space(
        {
            "rate": ContinuousParameter(1e-4, 1.0),
            "layers": IntegerParameter(1, 8),
            "kind": CategoricalParameter(["a", 1, 1.5, True]),
        }
    )
    training = Training(image="image", static={"epochs": "3"}, retries=retries)
    definition = Definition(space, Objective("loss", Direction.MINIMIZE), training)
    limits = Limits(parallel, jobs)
    return JobSpec(name, (definition,), Strategy.RANDOM, limits, Completion(target=-1e9), early_stopping=True, seed=7)


def training_spec(name: str = "alone") -> JobSpec:
    """A plain training job."""
    return JobSpec(name, (Definition(Space({}), None, Training(image="image")),), strategy=None)


def propose(first: int, count: int, at: float = 0.0) -> Proposed:
    return Proposed(at, tuple(Proposal(number, POINT) for number in range(first, first + count)))


def report(number: int, since: int, *seen: Observation, attempt: int = 1) -> Reported:
    return Reported(0.0, number, attempt, Cursor(since), Cursor(since + 10), seen)


def loss(value: float, epoch: int | None = None) -> Observation:
    return Observation("loss", value, 5.0, epoch)


LIFE: tuple[Sequence[Event], ...] = (
    [propose(1, 6)],
    [Launched(0.0, number, 1, f"handle-{number}") for number in (1, 2, 3, 4)],
    [Progressed(0.0, 1, 1, Phase.DOWNLOADING), Progressed(0.0, 1, 1, Phase.TRAINING)],
    [report(1, 0, loss(3.0), Observation("accuracy", math.nan, 5.0), loss(math.inf)), report(2, 0, loss(1.5, 4))],
    [report(2, 10, loss(9.0, 2)), report(2, 20, loss(1.25, 4)), report(3, 0, loss(math.nan))],
    [report(4, 0, loss(0.25), Observation("accuracy", 0.5, 5.0), loss(0.125, 9))],
    [Judged(0.0, 1, 1, 2, Verdict(True, "worse", math.inf, -math.inf, StopCause.EARLY))],
    [Exited(0.0, 4, 1, None, Failure.INTERNAL, "lost"), Exited(0.0, 1, 1, -15, killed=True, model="s3://b/k")],
    [Launched(0.0, 4, 2, "handle-4b"), report(4, 0, loss(0.5), attempt=2)],
    [Exited(0.0, 2, 1, 0, started=4.0), Exited(0.0, 3, 1, 0), propose(7, 2)],
    [Exited(0.0, 4, 2, 3, Failure.ALGORITHM, "ValueError: é\ud800\0")],
    [TrialStopAsked(0.0, 5), Ticked(1e12)],
    [Exited(0.0, 5, 1, None, killed=True), StopAsked(0.0)],
    [Exited(0.0, number, 1, None, killed=True) for number in (6, 7, 8)],
    [Resumed(0.0, 5)],
)
"""Batches of events that lead a job of `tuning_spec` through everything that can happen to one."""


class StoreSuite:
    """The conformance suite."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def recorder(self, store: Store) -> Recorder:
        return Recorder(store, FakeClock(1000.0), lambda _seconds: None)

    # ---- one job ----

    def test_a_job_comes_back_by_value(self, store: Store, recorder: Recorder) -> None:
        stored = recorder.create(tuning_spec())
        again = store.load(stored.job.uid)
        assert same(again, stored)
        assert again.job is not stored.job
        assert store.load(stored.job.uid).job is not again.job

    def test_every_event_leaves_the_store_with_the_job_that_step_made(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        history = History(tuning_spec())
        for batch in LIFE:
            recorded = recorder.record(uid, batch)
            assert same(store.load(uid).job, recorded.job)
            assert store.load(uid).version == recorded.version
            history.apply(recorded.facts)
            assert same(store.history(uid).records, history.records)
        assert store.load(uid).job.counters.ended == 8

    def test_the_journal_folds_to_the_job(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        told: list[Event] = []
        for batch in LIFE:
            told += [event for event, _ in fold(store.load(uid).job, batch)]
            recorder.record(uid, batch)
        journal = store.journal(uid)
        assert isinstance(journal[0], Created)
        assert same(journal[1:], told)
        job: Job | None = None
        for event in journal:
            job = step(job, event).job
        assert same(job, store.load(uid).job)

    def test_a_late_commit_writes_nothing(self, store: Store, recorder: Recorder) -> None:
        stored = recorder.create(tuning_spec())
        uid = stored.job.uid
        recorder.record(uid, [propose(1, 2)])
        before, events, records = store.load(uid), store.journal(uid), store.history(uid).records
        late = propose(1, 1)
        with pytest.raises(StaleVersion):
            store.commit(stored.version, [step(stored.job, late)], [late])
        assert same(store.load(uid), before)
        assert same(store.journal(uid), events)
        assert same(store.history(uid).records, records)

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        for ask in (store.load, store.history, store.journal, store.delete):
            with pytest.raises(NotFound):
                ask("nobody")
        with pytest.raises(NotFound, match="nobody"):
            store.find("nobody", tuning=True)
        assert store.lease("nobody") is None

    def test_steps_of_any_size_are_kept(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        recorder.record(uid, [propose(1, 1), Launched(0.0, 1, 1, "h"), report(1, 0, loss(1.0, 10**30))])
        assert same(store.load(uid).job.live[1].epoch, 10**30)
        assert list(store.history(uid).records[1].curve.values()) == [1.0]

    # ---- names ----

    def test_names_are_unique_in_any_case(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec("Digits")).job.uid
        with pytest.raises(AlreadyExists, match="dIGITS"):
            recorder.create(tuning_spec("dIGITS"))
        assert store.find("DIGITS", tuning=True) == uid
        with pytest.raises(NotFound):
            store.find("Digits", tuning=False)

    def test_tuning_and_training_jobs_have_names_of_their_own(self, store: Store, recorder: Recorder) -> None:
        tuning = recorder.create(tuning_spec("twin")).job.uid
        training = recorder.create(training_spec("twin")).job.uid
        assert (store.find("twin", tuning=True), store.find("Twin", tuning=False)) == (tuning, training)
        with pytest.raises(AlreadyExists):
            recorder.create(training_spec("TWIN"))

    def test_a_training_job_may_not_take_a_childs_name(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        child = recorder.record(uid, [propose(1, 1)]).job.live[1].name
        with pytest.raises(AlreadyExists):
            recorder.create(training_spec(child.upper()))
        assert list(store.versions()) == [uid]

    # ---- which jobs run ----

    def test_versions_lists_what_is_not_terminal_oldest_first(self, store: Store) -> None:
        clock = FakeClock(1000.0)
        recorder = Recorder(store, clock, lambda _seconds: None)
        uids = []
        for name in ("c", "a", "b"):
            clock.at += 1
            uids.append(recorder.create(tuning_spec(name)).job.uid)
        assert list(store.versions()) == uids
        recorder.record(uids[1], [propose(1, 1)])
        assert store.versions() == {uids[0]: 1, uids[1]: 2, uids[2]: 1}
        assert recorder.record(uids[0], [StopAsked(0.0)]).job.status is JobStatus.STOPPED
        assert list(store.versions()) == uids[1:]
        recorder.record(uids[0], [Resumed(0.0, 1)])
        assert list(store.versions()) == uids

    # ---- deletion ----

    def test_trials_outlive_their_tuning_job(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec(), {"team": "red"}).job.uid
        child = recorder.record(uid, [propose(1, 1)]).job.live[1].name
        assert store.acquire(uid, OWNER, 50.0, 0.0, [])
        store.delete(uid)
        for ask in (store.load, store.journal, store.delete):
            with pytest.raises(NotFound):
                ask(uid)
        assert (store.versions(), store.lease(uid)) == ({}, None)
        assert store.tags("training", child) == {"team": "red"}
        with pytest.raises(NotFound):
            store.tags("tuning", "Digits")
        again = recorder.create(tuning_spec())
        assert again.job.uid != uid and store.find("digits", tuning=True) == again.job.uid

    def test_a_job_that_others_wrote_to_is_not_deleted(self, store: Store, recorder: Recorder) -> None:
        stored = recorder.create(tuning_spec())
        uid, version = stored.job.uid, recorder.record(stored.job.uid, [propose(1, 1)]).version
        with pytest.raises(StaleVersion):
            store.delete(uid, stored.version)
        assert store.load(uid).version == version
        store.delete(uid, version)
        with pytest.raises(NotFound):
            store.load(uid)

    def test_a_plain_training_job_goes_as_a_whole(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(training_spec(), {"team": "red"}).job.uid
        recorder.record(uid, [Launched(0.0, 1, 1, "h"), report(1, 0, Observation("x", 1.0, 0.0)), Exited(0.0, 1, 1, 0)])
        store.delete(uid)
        with pytest.raises(NotFound):
            store.tags("training", "alone")
        again = recorder.create(training_spec("ALONE")).job.uid
        assert store.tags("training", "alone") == {} and same(store.history(again).records[1].curve, {})

    def test_a_dropped_trial_frees_its_name_and_stays_in_the_history(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec(), {"team": "red"}).job.uid
        first = recorder.record(uid, [propose(1, 2)]).job.live[1].name
        for number in (1, 3):
            with pytest.raises(NotFound):
                store.delete_trial(uid, number)
        recorder.record(
            uid, [Launched(0.0, 1, 1, "h"), report(1, 0, Observation("loss", 1.0, 0.0)), Exited(0.0, 1, 1, 0)]
        )
        before = store.history(uid)
        store.delete_trial(uid, 1)
        assert same(store.history(uid).records, before.records), "the strategies go on with what it brought"
        with pytest.raises(NotFound):
            store.tags("training", first)
        with pytest.raises(NotFound):
            store.delete_trial(uid, 1)
        alone = recorder.create(training_spec(first)).job.uid
        assert store.find(first, tuning=False) == alone
        assert recorder.record(uid, [propose(3, 1)]).job.launched == 3
        store.delete(uid)
        with pytest.raises(NotFound):
            store.delete_trial(uid, 1)

    def test_a_trial_of_a_deleted_job_goes_for_good(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        child = recorder.record(uid, [propose(1, 1)]).job.live[1].name
        recorder.record(
            uid, [Launched(0.0, 1, 1, "h"), report(1, 0, Observation("loss", 1.0, 0.0)), Exited(0.0, 1, 1, 0)]
        )
        store.delete(uid)
        assert store.tags("training", child) == {}
        store.delete_trial(uid, 1)
        with pytest.raises(NotFound):
            store.tags("training", child)
        with pytest.raises(NotFound):
            store.delete_trial(uid, 1)

    def test_a_commit_after_deletion_is_stale(self, store: Store, recorder: Recorder) -> None:
        stored = recorder.create(tuning_spec())
        store.delete(stored.job.uid)
        event = propose(1, 1)
        with pytest.raises(StaleVersion):
            store.commit(stored.version, [step(stored.job, event)], [event])
        with pytest.raises(NotFound):
            recorder.record(stored.job.uid, [event], known=stored)

    # ---- tags ----

    def test_new_trials_take_over_the_jobs_tags(self, store: Store, recorder: Recorder) -> None:
        tags = {"team": "red", "empty": ""}
        uid = recorder.create(tuning_spec(), tags).job.uid
        tags.clear()
        first = recorder.record(uid, [propose(1, 1)]).job.live[1].name
        assert store.set_tags("tuning", "DIGITS", {"team": "blue", "new": "1"}, ["empty", "absent"]) == {
            "team": "blue",
            "new": "1",
        }
        second = recorder.record(uid, [propose(2, 1), Launched(0.0, 1, 1, "h")]).job.live[2].name
        assert store.tags("training", first) == {"team": "red", "empty": ""}
        assert store.tags("training", second.upper()) == {"team": "blue", "new": "1"}

    def test_a_trials_tags_are_its_own(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec(), {"team": "red"}).job.uid
        child = recorder.record(uid, [propose(1, 1)]).job.live[1].name
        assert store.set_tags("training", child, {"mine": "1"}, ["team"]) == {"mine": "1"}
        recorder.record(uid, [Launched(0.0, 1, 1, "h")])
        recorder.record(uid, [Exited(0.0, 1, 1, 0)])
        assert store.tags("training", child) == {"mine": "1"}
        assert store.tags("tuning", "Digits") == {"team": "red"}
        for kind in ("tuning", "training"):
            with pytest.raises(NotFound):
                store.set_tags(kind, "nobody", {"a": "b"}, [])

    def test_a_plain_training_jobs_tags_are_the_training_jobs(self, store: Store, recorder: Recorder) -> None:
        recorder.create(training_spec(), {"team": "red"})
        assert store.tags("training", "alone") == {"team": "red"}
        with pytest.raises(NotFound):
            store.tags("tuning", "alone")

    # ---- leases ----

    def test_a_lease_has_one_holder(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        assert store.lease(uid) is None
        assert store.acquire(uid, OWNER, 30.0, 0.0, [])
        assert not store.acquire(uid, OTHER, 40.0, 10.0, [])
        assert store.lease(uid) == (OWNER, 30.0)
        assert store.acquire(uid, OWNER, 50.0, 20.0, [])
        assert store.lease(uid) == (OWNER, 50.0)

    def test_a_lease_passes_on_when_it_expires_or_its_holder_is_dead(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        assert store.acquire(uid, OWNER, 30.0, 0.0, [])
        assert not store.acquire(uid, OTHER, 60.0, 29.9, [replace(OWNER, pid=3)])
        assert store.acquire(uid, OTHER, 60.0, 30.0, [])
        assert store.acquire(uid, OWNER, 70.0, 31.0, [replace(OWNER, pid=3), OTHER])
        assert store.lease(uid) == (OWNER, 70.0)

    def test_a_lease_is_given_back_by_its_holder_alone(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        assert store.acquire(uid, OWNER, 30.0, 0.0, [])
        store.release(uid, OTHER)
        assert store.lease(uid) == (OWNER, 30.0)
        store.release(uid, OWNER)
        store.release(uid, OWNER)
        assert store.lease(uid) is None
        assert store.acquire(uid, OTHER, 30.0, 0.0, [])

    def test_nobody_can_hold_what_is_not_there(self, store: Store) -> None:
        assert not store.acquire("nobody", OWNER, 30.0, 0.0, [])
        store.release("nobody", OWNER)

    def test_of_many_that_want_a_lease_one_gets_it(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        with ThreadPoolExecutor(8) as pool:
            owners = [replace(OWNER, pid=number) for number in range(8)]
            granted = list(pool.map(lambda owner: store.acquire(uid, owner, 30.0, 0.0, []), owners))
        assert granted.count(True) == 1
        assert store.lease(uid) == (owners[granted.index(True)], 30.0)

    # ---- many at once ----

    def test_threads_that_write_to_one_job_lose_nothing(self, store: Store, recorder: Recorder) -> None:
        uid = recorder.create(tuning_spec()).job.uid
        numbers = range(1, 7)
        recorder.record(uid, [propose(1, 6), *(Launched(0.0, number, 1, "h") for number in numbers)])

        def work(number: int) -> None:
            for epoch in range(20):
                recorder.record(uid, [report(number, epoch * 10, loss(float(epoch)))])

        with ThreadPoolExecutor(len(numbers)) as pool:
            list(pool.map(work, numbers))
        expected = {epoch + 1: float(epoch) for epoch in range(20)}
        assert [store.history(uid).records[number].curve for number in numbers] == [expected] * 6
        assert store.load(uid).version == 2 + 6 * 20
