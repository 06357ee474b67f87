"""Forty thousand training jobs in one tuning job: listed, ranked and exported, with no statement that grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewright.aws.inprocess import make_client
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.recorder import Recorder
from tunewright.core.events import Launched
from tunewright.core.reads import JobQuery, TrialQuery
from tunewright.core.trial import Phase, Transition, Trial, TrialStatus
from tunewright.objects.local import LocalObjects
from tunewright.settings import Settings
from tunewright.store import queries
from tunewright.store.database import writing
from tunewright.store.queries import SqlReads
from tunewright.store.rows import trial_row
from tunewright.store.statements import Statements
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.store_suite import loss, propose, report, tuning_spec
from tunewright.testing.world import FakeClock

MANY = 40_000
NAME = "many-{:05d}"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqlStore, str]]:
    """A job whose MANY training jobs were written at once, with values 0, 1, 2, ... and one point each."""
    directory: Path = tmp_path_factory.mktemp("large")
    store = open_store(f"sqlite:///{directory / 'large.db'}")
    uid = Recorder(store, FakeClock(), lambda _seconds: None).create(tuning_spec()).job.uid
    one = Trial(1, "", {"rate": 0.5}, 5.0, status=TrialStatus.COMPLETED, epoch=1)
    one = replace(one, transitions=(Transition(Phase.COMPLETED, 6.0),))
    numbers = range(1, MANY + 1)
    trials = [replace(one, number=n, name=NAME.format(n), last=float(n), created=float(n // 7)) for n in numbers]
    rows = [trial_row(uid, trial, 7.0) for trial in trials]
    point = {"job_uid": uid, "attempt": 1, "epoch": 1, "metric": "loss", "mark": None, "at": 6.0}
    curve = [{**point, "number": n, "seq": n, "value": float(n)} for n in numbers]
    sql = Statements(store.engine.dialect)
    writing(store.engine, lambda cursor: sql.add_trial.run_many(cursor, rows))
    writing(store.engine, lambda cursor: sql.put_curve.run_many(cursor, curve))
    yield store, uid
    store.close()


def test_case_32_everything_is_exported(large: tuple[SqlStore, str]) -> None:
    store, uid = large
    reads = SqlReads(store.engine)
    views = reads.all_trials(uid)
    assert [view.trial.number for view in views] == list(range(1, MANY + 1))
    points = reads.points(views)
    assert len(points) == MANY and [point.value for point in points[MANY]] == [float(MANY)]
    history = store.history(uid)
    assert len(history.finished()) == MANY and history.records[MANY].curve == {1: float(MANY)}


def test_case_32_the_best_and_every_page_are_found(large: tuple[SqlStore, str]) -> None:
    store, uid = large
    reads = SqlReads(store.engine)
    best = TrialQuery(uid, sort="FinalObjectiveMetricValue", descending=True, limit=3)
    assert [view.trial.value for view in reads.trials(best).items] == [40000.0, 39999.0, 39998.0]
    query = TrialQuery(uid, sort="CreationTime", limit=10_000)
    seen: list[int] = []
    while True:
        page = reads.trials(query)
        seen += [view.trial.number for view in page.items]
        if page.after is None:
            break
        query = replace(query, after=page.after)
    assert seen == list(range(1, MANY + 1))


def test_case_42_pages_of_a_hundred_reach_every_training_job(large: tuple[SqlStore, str], tmp_path: Path) -> None:
    """As a client asks: no page is longer than 100, and the last one has no NextToken."""
    store, uid = large
    recorder = Recorder(store, FakeClock(), lambda _seconds: None)
    settings = Settings.load({"TUNEWRIGHT_HOME": str(tmp_path)}, tmp_path)
    reads, objects = SqlReads(store.engine), LocalObjects(tmp_path / "objects")
    service = Operations(recorder, store, reads, objects, settings, strict=True, wake=lambda _: None)
    client: Any = make_client(service.handle, "us-east-1")
    ask = client.list_training_jobs_for_hyper_parameter_tuning_job
    asked = {"HyperParameterTuningJobName": store.load(uid).job.name, "SortBy": "FinalObjectiveMetricValue"}
    seen: list[float] = []
    token: dict[str, str] = {}
    while True:
        page = ask(**asked, MaxResults=100, **token)
        values = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in page["TrainingJobSummaries"]]
        assert len(values) <= 100
        seen += values
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == [float(number) for number in range(1, MANY + 1)]
    with pytest.raises(client.exceptions.ClientError, match="less than or equal to 100"):
        ask(**asked, MaxResults=101)


def test_another_job_goes_on_beside_it(large: tuple[SqlStore, str]) -> None:
    store, uid = large
    recorder = Recorder(store, FakeClock(), lambda _seconds: None)
    other = recorder.create(tuning_spec("other")).job.uid
    recorder.record(other, [propose(1, 3), Launched(0.0, 1, 1, "h"), report(1, 0, loss(1.0))])
    assert list(store.load(other).job.live) == [1, 2, 3]
    assert store.load(uid).job.live == {}
    assert set(store.versions()) == {uid, other}


def test_pages_may_be_longer_than_what_is_kept_in_memory(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_SPECS", 3)
    recorder = Recorder(store, FakeClock(), lambda _seconds: None)
    for number in range(8):
        uid = recorder.create(tuning_spec(f"job-{number}")).job.uid
        recorder.record(uid, [propose(1, number % 3)])
    reads = SqlReads(store.engine)
    for _ in range(2):
        views = reads.jobs(JobQuery(limit=1000)).items
        assert [(view.job.name, len(view.job.live)) for view in views] == [(f"job-{n}", n % 3) for n in range(8)]
