"""Many processes on one database, and processes that die: nobody sees an error, nothing committed is lost."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext

import crowd
import pytest

from tunewright.core.events import Event
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step
from tunewright.core.reads import TrialQuery
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.same import same
from tunewright.testing.store_suite import tuning_spec

LIBRARY = ["tunewright.store.store", "tunewright.store.queries", "tunewright.testing.store_suite"]


@pytest.fixture(scope="module")
def context() -> Iterator[ForkServerContext]:
    """Processes forked from one that has imported the library, so that all of them start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARY, "sqlalchemy.dialects.sqlite"])
    yield context


def folded(events: list[Event]) -> Job | None:
    job: Job | None = None
    for event in events:
        job = step(job, event).job
    return job


def check_whole(url: str) -> None:
    if not url.startswith("sqlite:"):
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.parametrize("processes", [6, pytest.param(32, marks=pytest.mark.slow)])
def test_case_30_processes_started_at_once_lose_nothing(url: str, context: ForkServerContext, processes: int) -> None:
    """Half of them write to one tuning job. Even the file and its layout are made by whoever comes first."""
    barrier = context.Barrier(processes)
    sharers = processes // 2
    running = []
    for number in range(processes):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=crowd.crowd, args=(url, number, sharers, barrier, theirs))
        process.start()
        theirs.close()
        running.append((process, ours))
    told = []
    for process, pipe in running:
        assert pipe.poll(crowd.TOGETHER)
        told.append(pipe.recv())
        process.join(crowd.TOGETHER)
    assert not [each for each in told if isinstance(each, str)]
    assert [process.exitcode for process, _ in running] == [0] * processes
    store = open_store(url)
    for number, (uid, trial, bests) in enumerate(told):
        expected = {epoch + 1: float(number * 100 + epoch) for epoch in range(crowd.POINTS)}
        assert store.history(uid).records[trial].curve == expected
        assert bests == crowd.POINTS
    shared = store.find(crowd.SHARED, tuning=True)
    assert store.load(shared).job.counters.completed == sharers
    assert store.load(shared).version == 2 + sharers * (crowd.POINTS + 1)
    assert same(folded(store.journal(shared)), store.load(shared).job)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM curve").scalar() == processes * crowd.POINTS
    store.close()
    check_whole(url)


def test_case_31_what_a_killed_process_finished_is_there(url: str, context: ForkServerContext) -> None:
    process = context.Process(target=crowd.finish_five_and_die, args=(url,))
    process.start()
    process.join(crowd.TOGETHER)
    assert process.exitcode == -signal.SIGKILL
    store = open_store(url)
    reads = SqlReads(store.engine)
    job = reads.job("Digits").job
    assert (job.status, job.counters.completed) == (JobStatus.COMPLETED, 5)
    finals = [view.trial.value for view in reads.trials(TrialQuery(sort="FinalObjectiveMetricValue")).items]
    assert finals == [0.1, 0.125, 0.5 / 3, 0.25, 0.5]
    assert same(folded(store.journal(job.uid)), job)
    store.close()
    check_whole(url)


def test_a_process_killed_while_it_writes_leaves_whole_commits(
    store: SqlStore, url: str, context: ForkServerContext
) -> None:
    recorder = crowd.recorder_on(url)
    uid = recorder.create(tuning_spec(crowd.SHARED)).job.uid
    recorder.record(uid, [crowd.propose(1, 1), crowd.Launched(0.0, 1, 1, "h")])
    for after in (1, 7, 30, 50):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=crowd.write_for_ever, args=(url, theirs))
        process.start()
        theirs.close()
        told = 0
        for _ in range(after):
            assert ours.poll(crowd.TOGETHER)
            told = ours.recv()
        process.kill()
        process.join(crowd.TOGETHER)
        while ours.poll():
            try:
                told = ours.recv()
            except EOFError:
                break
        live = store.load(uid).job.live[1]
        assert live.epoch in (told, told + 1), "at most the commit that nobody was told of"
        assert list(store.history(uid).records[1].curve) == list(range(1, live.epoch + 1))
        assert same(folded(store.journal(uid)), store.load(uid).job)
    recorder.store.close()
    check_whole(url)
