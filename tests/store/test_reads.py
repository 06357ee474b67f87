"""The read models: filters, order, pages, curves, and what is left of a deleted job."""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from tunewright.control.recorder import Recorder
from tunewright.core.errors import Invalid, NotFound
from tunewright.core.events import Exited, Launched, StopAsked
from tunewright.core.job import JobStatus
from tunewright.core.reads import JobQuery, TrialQuery, TrialView
from tunewright.core.trial import Failure, Observation, TrialStatus
from tunewright.store.queries import SqlReads, spans
from tunewright.store.store import SqlStore
from tunewright.testing.same import same
from tunewright.testing.store_suite import LIFE, OWNER, loss, propose, report, training_spec, tuning_spec
from tunewright.testing.world import FakeClock

VALUES = {1: 0.5, 2: 0.25, 3: 0.25, 4: math.nan, 5: 0.125}


@pytest.fixture
def uid(recorder: Recorder, clock: FakeClock) -> str:
    """A job whose trials 1 to 5 ended with VALUES, the last of them failed; 6 goes on and 7 is Pending."""
    uid = recorder.create(tuning_spec(parallel=7)).job.uid
    for number in range(1, 8):
        clock.at += 1
        recorder.record(uid, [propose(number, 1, clock.at)])
    for number, value in VALUES.items():
        clock.at += 1
        end = Exited(clock.at, number, 1, 0) if number != 5 else Exited(clock.at, 5, 1, 1, Failure.ALGORITHM, "no")
        recorder.record(uid, [Launched(clock.at, number, 1, "h"), report(number, 0, loss(value)), end])
    recorder.record(uid, [Launched(clock.at, 6, 1, "h"), report(6, 0, loss(0.0))])
    return uid


def numbers(views: tuple[TrialView, ...]) -> list[int]:
    return [view.trial.number for view in views]


def walk(reads: SqlReads, query: TrialQuery) -> list[list[int]]:
    """Every page of a query."""
    pages = []
    while True:
        page = reads.trials(query)
        pages.append(numbers(page.items))
        if page.after is None:
            return pages
        query = replace(query, after=page.after)


# ---- jobs ----


def test_a_job_is_read_with_its_live_trials_and_its_owner(reads: SqlReads, store: SqlStore, uid: str) -> None:
    view = reads.job("dIgItS")
    assert same(view.job, store.load(uid).job) and view.version == store.load(uid).version
    assert (list(view.job.live), view.owner, view.lease_until) == ([6, 7], None, None)
    store.acquire(uid, OWNER, 77.0, 0.0, [])
    view = reads.job("Digits")
    assert (view.owner, view.lease_until) == (OWNER, 77.0)
    with pytest.raises(NotFound, match="training job"):
        reads.job("Digits", tuning=False)
    assert same(reads.journal(uid), store.journal(uid))
    with pytest.raises(NotFound):
        reads.journal("nobody")


@pytest.fixture
def jobs(recorder: Recorder, clock: FakeClock) -> dict[str, float]:
    """Jobs by name with the time of their creation; the third is stopped, ten seconds after the last."""
    created = {}
    for name in ("Beta", "alpha", "Gamma-1", "delta"):
        clock.at += 10
        created[name] = clock.at
        recorder.create(tuning_spec(name))
    recorder.create(training_spec("beta"))
    clock.at += 10
    recorder.record(recorder.store.find("gamma-1", tuning=True), [StopAsked(clock.at)])
    return created


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (JobQuery(), ["alpha", "Beta", "delta", "Gamma-1"]),
        (JobQuery(descending=True), ["Gamma-1", "delta", "Beta", "alpha"]),
        (JobQuery(sort="CreationTime"), ["Beta", "alpha", "Gamma-1", "delta"]),
        (JobQuery(sort="CreationTime", descending=True), ["delta", "Gamma-1", "alpha", "Beta"]),
        (JobQuery(sort="Status"), ["alpha", "Beta", "delta", "Gamma-1"]),
        (JobQuery(sort="Status", descending=True), ["Gamma-1", "delta", "Beta", "alpha"]),
        (JobQuery(name_contains="A-"), ["Gamma-1"]),
        (JobQuery(name_contains="ETA"), ["Beta"]),
        (JobQuery(name_contains="%"), []),
        (JobQuery(name_contains="_"), []),
        (JobQuery(status=JobStatus.STOPPED), ["Gamma-1"]),
        (JobQuery(status=JobStatus.FAILED), []),
        (JobQuery(tuning=False), ["beta"]),
    ],
)
def test_jobs_are_filtered_and_sorted(
    reads: SqlReads, jobs: dict[str, float], query: JobQuery, expected: list[str]
) -> None:
    assert [view.job.name for view in reads.jobs(query).items] == expected
    paged, after = [], None
    while True:
        page = reads.jobs(replace(query, limit=1, after=after))
        paged += [view.job.name for view in page.items]
        if (after := page.after) is None:
            break
    assert paged == expected


def test_bounds_of_time_are_exclusive(reads: SqlReads, jobs: dict[str, float]) -> None:
    def names(query: JobQuery) -> list[str]:
        return [view.job.name for view in reads.jobs(query).items]

    assert names(JobQuery(created_after=jobs["alpha"])) == ["delta", "Gamma-1"]
    assert names(JobQuery(created_before=jobs["alpha"])) == ["Beta"]
    assert names(JobQuery(modified_after=jobs["delta"])) == ["Gamma-1"]
    assert names(JobQuery(modified_before=jobs["delta"])) == ["alpha", "Beta"]
    assert names(JobQuery(created_after=jobs["Beta"], created_before=jobs["delta"])) == ["alpha", "Gamma-1"]


def test_an_empty_store_has_empty_pages(reads: SqlReads) -> None:
    assert (reads.jobs(JobQuery()).items, reads.jobs(JobQuery()).after) == ((), None)
    assert (reads.trials(TrialQuery()).items, reads.trials(TrialQuery()).after) == ((), None)


# ---- training jobs ----


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("Name", False, [1, 2, 3, 4, 5, 6, 7]),
        ("Name", True, [7, 6, 5, 4, 3, 2, 1]),
        ("CreationTime", True, [7, 6, 5, 4, 3, 2, 1]),
        ("Status", False, [1, 2, 3, 4, 5, 6, 7]),
        ("Status", True, [7, 6, 5, 4, 3, 2, 1]),
        ("FinalObjectiveMetricValue", False, [2, 3, 1]),
        ("FinalObjectiveMetricValue", True, [1, 2, 3]),
        ("CreationTime", False, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_any_size_show_each_training_job_once(
    reads: SqlReads, uid: str, sort: str, descending: bool, expected: list[int], limit: int
) -> None:
    pages = walk(reads, TrialQuery(job_uid=uid, sort=sort, descending=descending, limit=limit))
    assert [number for page in pages for number in page] == expected
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1] or not expected


def test_in_progress_and_pending_are_the_same_to_whoever_asks(reads: SqlReads, uid: str) -> None:
    def found(status: TrialStatus) -> list[int]:
        return numbers(reads.trials(TrialQuery(job_uid=uid, status=status)).items)

    assert found(TrialStatus.RUNNING) == [6, 7]
    assert found(TrialStatus.PENDING) == [6, 7]
    assert found(TrialStatus.FAILED) == [5]


def test_a_page_taken_before_filtering_may_be_empty_and_go_on(reads: SqlReads, uid: str) -> None:
    query = TrialQuery(status=TrialStatus.FAILED, limit=2, sort="CreationTime", page_first=True)
    assert walk(reads, query) == [[], [], [5], []]
    assert walk(reads, replace(query, page_first=False)) == [[5]]


def test_training_jobs_of_all_jobs_are_one_list(reads: SqlReads, recorder: Recorder, uid: str) -> None:
    recorder.create(training_spec("alone"))
    views = reads.trials(TrialQuery(limit=100)).items
    assert views[0].trial.name == "alone"
    assert len(views) == 8
    names = [view.trial.name for view in views if view.job_uid == uid]
    assert [view.trial.name for view in reads.trials(TrialQuery(name_contains="DIGITS-00", limit=100)).items] == names


def test_a_position_belongs_to_its_order(reads: SqlReads, uid: str) -> None:
    page = reads.trials(TrialQuery(job_uid=uid, sort="CreationTime", limit=2))
    wrong: list[Callable[[], object]] = [
        lambda: reads.trials(TrialQuery(job_uid=uid, sort="Name", after=page.after)),
        lambda: reads.trials(TrialQuery(job_uid=uid, sort="CreationTime", descending=True, after=page.after)),
        lambda: reads.trials(TrialQuery(job_uid=uid, after="?")),
        lambda: reads.trials(TrialQuery(job_uid=uid, after="é")),
        lambda: reads.trials(TrialQuery(job_uid=uid, after="bnVsbA==")),
        lambda: reads.trials(TrialQuery(job_uid=uid, after=urlsafe_b64encode(b"[" * 6000).decode())),
        lambda: reads.jobs(JobQuery(sort="Colour")),
        lambda: reads.trials(TrialQuery(sort="Colour")),
    ]
    for ask in wrong:
        with pytest.raises(Invalid):
            ask()


def test_a_training_job_is_found_by_name_whatever_it_belongs_to(
    reads: SqlReads, recorder: Recorder, store: SqlStore, uid: str
) -> None:
    plain = recorder.create(training_spec("alone")).job.uid
    view = reads.trial("ALONE")
    assert (view.job_uid, view.job_name, view.trial.number) == (plain, "alone", 1)
    child = reads.all_trials(uid)[1]
    assert same(reads.trial(child.trial.name.upper()), child)
    assert child.modified > child.trial.created
    with pytest.raises(NotFound, match="nobody"):
        reads.trial("nobody")
    with pytest.raises(NotFound):
        reads.all_trials("nobody")


def test_a_deleted_jobs_training_jobs_still_know_what_they_were(reads: SqlReads, store: SqlStore, uid: str) -> None:
    before = reads.all_trials(uid)
    store.delete(uid)
    assert same(reads.all_trials(uid), before)
    assert same(SqlReads(store.engine).trial(before[0].trial.name).spec, before[0].spec)
    assert reads.metrics(before[0].trial.name)[0].value == 0.5


# ---- curves ----


def test_metrics_are_the_last_values_in_order_of_appearance(reads: SqlReads, recorder: Recorder) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    recorder.record(uid, [propose(1, 1), Launched(0.0, 1, 1, "h")])
    name = reads.all_trials(uid)[0].trial.name
    assert reads.metrics(name) == []
    odd = Observation('quo"te\\\ud800', math.inf, 6.0)
    recorder.record(uid, [report(1, 0, Observation("accuracy", 0.5, 5.0), loss(3.0, 7), loss(2.0, 9), odd)])
    recorder.record(uid, [report(1, 10, loss(1.0, 7), Observation("accuracy", 0.25, 8.0))])
    values = [(each.metric, each.value, each.at) for each in reads.metrics(name)]
    assert values == [("accuracy", 0.25, 8.0), ("loss", 1.0, 5.0), (odd.metric, math.inf, 6.0)]
    assert [each.value for each in reads.curve(name, odd.metric)] == [math.inf]
    with pytest.raises(NotFound):
        reads.metrics("nobody")


def test_a_curve_is_that_of_the_latest_attempt_in_order_of_emission(reads: SqlReads, recorder: Recorder) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    for batch in LIFE:
        recorder.record(uid, batch)
    names = {view.trial.number: view.trial.name for view in reads.all_trials(uid)}
    first = reads.curve(names[1])
    assert [(each.metric, each.epoch, each.objective) for each in first] == [
        ("loss", 1, True),
        ("accuracy", None, False),
        ("loss", 2, True),
    ]
    assert same([each.value for each in first], [3.0, math.nan, math.inf])
    assert [(each.epoch, each.value) for each in reads.curve(names[2], "loss")] == [(4, 1.25), (2, 9.0)]
    assert [(each.attempt, each.value) for each in reads.curve(names[4])] == [(2, 0.5)]
    with pytest.raises(NotFound):
        reads.curve("nobody")


def test_metrics_and_points_of_many_are_those_of_each(reads: SqlReads, recorder: Recorder) -> None:
    uid = recorder.create(tuning_spec()).job.uid
    for batch in LIFE:
        recorder.record(uid, batch)
    views = reads.all_trials(uid)
    metrics, points = reads.final_metrics(views), reads.points(views)
    for view in views:
        assert same(metrics.get(view.trial.number, []), reads.metrics(view.trial.name))
        assert same(points.get(view.trial.number, []), reads.curve(view.trial.name))
    some = [views[0], views[3]]
    assert set(reads.points(some)) == set(reads.final_metrics(some)) == {1, 4}
    assert reads.metric_names(uid) == ["accuracy"]
    assert reads.final_metrics([]) == reads.points([]) == {}


def test_questions_about_many_training_jobs_are_few() -> None:
    assert spans(range(1, 10_000)) == [(1, 9_999)]
    assert spans([900, 1, 20, 910, 52]) == [(1, 52), (900, 910)]
    assert spans([]) == []
