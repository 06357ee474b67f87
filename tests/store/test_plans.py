"""No statement's cost grows with what is not asked for: query plans use indexes, commits touch their rows alone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tunewright.control.recorder import Recorder
from tunewright.core.events import Exited, Launched
from tunewright.core.reads import JobQuery, TrialQuery
from tunewright.core.trial import TrialStatus
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore
from tunewright.testing.store_suite import OWNER, loss, propose, report, tuning_spec

STATEMENT = re.compile(r"SELECT|UPDATE|DELETE|INSERT")


class Plans:
    """What SQLite does for the statements that a call runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.statements: list[str] = []

    def of(self, call: Callable[[], object]) -> list[str]:
        self.statements.clear()
        self.connection.set_trace_callback(self.statements.append)
        call()
        self.connection.set_trace_callback(None)
        asked = [text for text in self.statements if STATEMENT.match(text) and "alembic_version" not in text]
        assert asked, "the call ran on this connection"
        return [row[3] for text in asked for row in self.connection.execute(f"EXPLAIN QUERY PLAN {text}")]


@pytest.fixture
def plans(store: SqlStore) -> Iterator[Plans]:
    """On the one connection that a single thread's calls share."""
    pooled = store.engine.raw_connection()
    connection = pooled.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    pooled.close()
    yield Plans(connection)


@pytest.fixture
def uid(recorder: Recorder) -> str:
    uid = recorder.create(tuning_spec(jobs=100), {"team": "red"}).job.uid
    for number in range(1, 41):
        events = [propose(number, 1), Launched(0.0, number, 1, "h"), report(number, 0, loss(1.0 / number))]
        recorder.record(uid, [*events, Exited(0.0, number, 1, 0)])
    recorder.record(uid, [propose(41, 3)])
    return uid


def scans(plan: list[str]) -> list[str]:
    return [line for line in plan if line.startswith("SCAN") and "USING" not in line and "SCAN anon" not in line]


def test_the_hot_path_searches_by_index(store: SqlStore, recorder: Recorder, plans: Plans, uid: str) -> None:
    events = [Launched(0.0, 41, 1, "h"), report(41, 0, loss(1.0)), Exited(0.0, 41, 1, 0), propose(44, 1)]
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(uid),
        "record": lambda: recorder.record(uid, events),
        "versions": store.versions,
        "find": lambda: store.find("digits", tuning=True),
        "acquire": lambda: store.acquire(uid, OWNER, 1.0, 0.0, []),
        "lease": lambda: store.lease(uid),
        "release": lambda: store.release(uid, OWNER),
        "tags": lambda: store.set_tags("tuning", "digits", {"a": "b"}, ["c"]),
        "history": lambda: store.history(uid),
        "journal": lambda: store.journal(uid),
    }
    for name, call in calls.items():
        plan = plans.of(call)
        assert not [line for line in plan if "SCAN" in line or "TEMP" in line], (name, plan)


def test_live_trials_are_found_without_the_finished_ones(store: SqlStore, plans: Plans, uid: str) -> None:
    plan = plans.of(lambda: store.load(uid))
    assert any("trial_live (job_uid=? AND live=?)" in line for line in plan), plan
    assert any("job_running (running=?)" in line for line in plans.of(store.versions))


def test_a_commit_writes_its_own_rows_and_no_specification(
    store: SqlStore, recorder: Recorder, plans: Plans, uid: str
) -> None:
    events = [Launched(0.0, 41, 1, "h"), report(41, 0, loss(1.0)), propose(44, 1)]
    plans.of(lambda: recorder.record(uid, events))
    written = [text for text in plans.statements if re.match("UPDATE|DELETE|INSERT", text)]
    tables = sorted(re.split(r"\s+", text.removeprefix("INSERT INTO"))[1] for text in written)
    assert tables == ["curve", "job", "job", "journal", "journal", "journal", "tag", "trial", "trial", "trial"]
    (state,) = [text for text in written if text.startswith("UPDATE job SET updated")]
    assert len(state) < 1000


def test_pages_are_found_by_index_and_are_not_sorted(store: SqlStore, reads: SqlReads, plans: Plans, uid: str) -> None:
    for sort, descending, job_uid in product(
        ("Name", "CreationTime", "Status", "FinalObjectiveMetricValue"), (0, 1), (uid, None)
    ):
        if sort == "FinalObjectiveMetricValue" and job_uid is None:
            continue
        query = TrialQuery(job_uid=job_uid, sort=sort, descending=bool(descending), limit=2)
        after = reads.trials(query).after
        for place in (None, after):
            again = TrialQuery(job_uid=job_uid, sort=sort, descending=bool(descending), limit=2, after=place)
            plan = plans.of(lambda query=again: reads.trials(query))  # type: ignore[misc]
            assert not scans(plan), (query, plan)
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, (query, plan)
        assert any("<?" in line or ">?" in line for line in plan), (query, plan)
    for job_uid in (uid, None):
        some = TrialQuery(job_uid=job_uid, status=TrialStatus.FAILED)
        plan = plans.of(lambda some=some: reads.trials(some))  # type: ignore[misc]
        assert any("status (" in line and "status=?" in line for line in plan), plan
    for sort in ("Name", "CreationTime", "Status"):
        plan = plans.of(lambda sort=sort: reads.jobs(JobQuery(sort=sort)))  # type: ignore[misc]
        assert not scans(plan) and "USE TEMP B-TREE FOR ORDER BY" not in plan, plan


def test_one_training_job_is_read_without_the_others(reads: SqlReads, plans: Plans, uid: str) -> None:
    name = reads.all_trials(uid)[3].trial.name
    calls: list[Callable[[], object]] = [
        lambda: reads.trial(name),
        lambda: reads.metrics(name),
        lambda: reads.curve(name),
        lambda: reads.job("Digits"),
    ]
    for call in calls:
        assert not scans(plans.of(call))
