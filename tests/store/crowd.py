"""What the processes of `test_processes` do; importable by them."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from tunewright.control.recorder import Recorder
from tunewright.core.errors import AlreadyExists
from tunewright.core.events import Exited, Launched
from tunewright.core.reads import TrialQuery
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store
from tunewright.testing.store_suite import loss, propose, report, tuning_spec
from tunewright.testing.world import FakeClock

SHARED = "shared"
POINTS = 20
TOGETHER = 300.0
"""Seconds that processes wait for each other before they give up."""


def recorder_on(url: str) -> Recorder:
    return Recorder(open_store(url), FakeClock(1000.0), time.sleep)


def crowd(url: str, number: int, sharers: int, barrier: Barrier, pipe: Connection) -> None:
    """Write POINTS values one by one and read the best each time: to one tuning job, or to one of its own."""
    try:
        barrier.wait(TOGETHER)
        recorder = recorder_on(url)
        reads = SqlReads(recorder.store.engine)  # type: ignore[attr-defined]
        uid, trial = _place(recorder, number, sharers, barrier)
        barrier.wait(TOGETHER)
        bests = []
        for epoch in range(POINTS):
            recorder.record(uid, [report(trial, epoch * 10, loss(float(number * 100 + epoch)))])
            best = reads.trials(TrialQuery(uid, sort="FinalObjectiveMetricValue", limit=1)).items
            bests.append((reads.job(SHARED).job.best, best))
        recorder.record(uid, [Exited(0.0, trial, 1, 0)])
        recorder.store.close()
        pipe.send((uid, trial, len(bests)))
    except BaseException as error:
        barrier.abort()
        pipe.send(f"{type(error).__name__}: {error}")
        raise


def _place(recorder: Recorder, number: int, sharers: int, barrier: Barrier) -> tuple[str, int]:
    """The job and the launched trial that this process writes to."""
    shared = number < sharers
    try:
        uid = recorder.create(tuning_spec(SHARED if shared else f"own-{number}", jobs=100, parallel=100)).job.uid
        count = sharers if shared else 1
        launched = [Launched(0.0, each, 1, "h") for each in range(1, count + 1)]
        recorder.record(uid, [propose(1, count), *launched])
    except AlreadyExists:
        uid = recorder.store.find(SHARED, tuning=True)
    return uid, number + 1 if shared else 1


def finish_five_and_die(url: str) -> None:
    recorder = recorder_on(url)
    uid = recorder.create(tuning_spec(jobs=5, parallel=5)).job.uid
    recorder.record(uid, [propose(1, 5)])
    for number in range(1, 6):
        recorder.record(uid, [Launched(0.0, number, 1, "h"), report(number, 0, loss(0.5 / number))])
        recorder.record(uid, [Exited(0.0, number, 1, 0)])
    os.kill(os.getpid(), signal.SIGKILL)


def write_for_ever(url: str, pipe: Connection) -> None:
    """Say after every commit how many values are committed, until killed."""
    recorder = recorder_on(url)
    uid = recorder.store.find(SHARED, tuning=True)
    epoch = recorder.store.load(uid).job.live[1].epoch
    while True:
        recorder.record(uid, [report(1, epoch * 10, loss(float(epoch)))])
        epoch += 1
        pipe.send(epoch)
