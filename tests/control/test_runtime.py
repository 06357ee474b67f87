"""Time in the loop: limits hold whatever happens to the machine's clock, and free places are filled at once."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tunewright.control.clock import SteadyClock
from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.events import Proposal
from tunewright.core.history import History
from tunewright.core.job import JobStatus
from tunewright.core.ports import Owner, Proposals, Task
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import Definition, Direction, JobSpec, Limits, MetricDefinition, Objective, Strategy, Training
from tunewright.core.trial import TrialStatus, Verdict
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor


class Machine(FakeClock):
    """A machine whose wall clock is set back an hour; the loop's clock stands on its monotonic one."""

    def __init__(self, jump_after: float | None) -> None:
        super().__init__()
        self._start = self.at
        self._jump_after = jump_after
        self._clock = SteadyClock(self.wall, lambda: self.at - self._start)

    def wall(self) -> float:
        jumped = self._jump_after is not None and self.at - self._start >= self._jump_after
        return self.at - 3600 * jumped

    def now(self) -> float:
        return self._clock.now()


class Halves:
    def propose(self, history: History, first: int, count: int) -> Proposals:
        return Proposals(tuple(Proposal(n, {"x": 0.5}) for n in range(first, first + count)))

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        return Verdict(False)


def ten_minutes(task: Task) -> Program:
    return Program(((10.0, "acc=0.5;"),), 600.0)


@pytest.mark.parametrize("jump_after", [None, 30.0], ids=["normal clock", "set back an hour"])
def test_case_33_the_job_ends_at_its_limit(tmp_path: Path, jump_after: float | None) -> None:
    machine = Machine(jump_after)
    store = open_store(f"sqlite:///{tmp_path / 'runtime.db'}")
    recorder = Recorder(store, machine, lambda _: None)
    training = Training(metrics=(MetricDefinition("acc", "acc=(.*?);"),))
    space = Space({"x": ContinuousParameter(0.0, 1.0)})
    definition = Definition(space, Objective("acc", Direction.MAXIMIZE), training)
    limits = Limits(max_parallel=2, max_jobs=9, max_runtime=120.0)
    uid = recorder.create(JobSpec("runtime", (definition,), Strategy.RANDOM, limits)).job.uid
    executor = SimulatedExecutor(Disk(ten_minutes), machine, random.Random(1), Hostility())
    loop = Loop(recorder, executor, Halves(), Owner("here", "boot", 1, 0.0), LoopOptions(arn=str))
    began = machine.at
    while not (job := store.load(uid).job).status.terminal:
        loop.tick()
        loop.wait()
        assert machine.at - began < 200, job
    assert 120 <= machine.at - began <= 121
    assert job.status is JobStatus.COMPLETED
    assert job.ending is not None and job.ending.why == "run time is up: 120 s (MaxRuntimeInSeconds)"
    trials = [view.trial for view in SqlReads(store.engine).all_trials(uid)]
    assert [(t.status, t.value) for t in trials] == [(TrialStatus.STOPPED, 0.5)] * 2
    store.close()


class Passing(FakeClock):
    """Looking at the clock takes a millisecond."""

    def now(self) -> float:
        self.at += 1e-3
        return self.at


def test_a_free_place_is_filled_at_once(tmp_path: Path) -> None:
    clock = Passing()
    store = open_store(f"sqlite:///{tmp_path / 'places.db'}")
    recorder = Recorder(store, clock, lambda _: None)
    training = Training(metrics=(MetricDefinition("acc", "acc=(.*?);"),))
    definition = Definition(Space({"x": ContinuousParameter(0.0, 1.0)}), Objective("acc", Direction.MAXIMIZE), training)
    uid = recorder.create(JobSpec("places", (definition,), Strategy.RANDOM, Limits(max_parallel=1, max_jobs=6))).job.uid
    program = Program(((0.5, "acc=0.5;"),), 1.0)
    executor = SimulatedExecutor(Disk(lambda _: program), clock, random.Random(1), Hostility())
    loop = Loop(recorder, executor, Halves(), Owner("here", "boot", 1, 0.0), LoopOptions(arn=str))
    for _ in range(2000):
        if store.load(uid).job.status.terminal:
            break
        loop.tick()
        loop.wait()
    trials = [view.trial for view in SqlReads(store.engine).all_trials(uid)]
    assert [t.status for t in trials] == [TrialStatus.COMPLETED] * 6
    gaps = [(later.started or 0.0) - (one.ended or 0.0) for one, later in itertools.pairwise(trials)]
    assert max(gaps) < 0.1
    store.close()
