"""Random jobs in a hostile world, with the controller dying at every border: nothing lost, nothing twice."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.change import Change
from tunewright.core.events import Event, Proposal, StopAsked
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.machine import step, todo
from tunewright.core.ports import Owner, Proposals, Store, Stored, Task
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import (
    Completion,
    Definition,
    Direction,
    JobSpec,
    Limits,
    MetricDefinition,
    Objective,
    Strategy,
    Training,
)
from tunewright.core.trial import Verdict
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.world import (
    Crash,
    Disk,
    FakeClock,
    HostileAdvisor,
    Hostility,
    Program,
    SimulatedExecutor,
)

CALM = Hostility()
HOSTILE = Hostility(crash=0.0, repeat=0.3, crowded=0.2, surplus=0.3)
DEADLY = Hostility(crash=0.03, repeat=0.3, crowded=0.2, surplus=0.3)
REFUSING = Hostility(refuse=0.1, repeat=0.3, crowded=0.2, surplus=0.3)
MURDEROUS = Hostility(crash=0.15, repeat=0.2, crowded=0.1, surplus=0.2)
ALL = {"calm": CALM, "hostile": HOSTILE, "refusing": REFUSING, "deadly": DEADLY, "murderous": MURDEROUS}


class DrawByNumber:
    """A strategy whose k-th configuration depends on the seed and k alone."""

    def propose(self, history: History, first: int, count: int) -> Proposals:
        numbers = range(first, first + count)
        return Proposals(tuple(Proposal(n, {"x": draw(history.spec.seed, n)}) for n in numbers))

    def judge(self, history: History, number: int, upto: int) -> Verdict:
        record = history.records[number]
        stop = upto >= 2 and random.Random(f"{history.spec.seed}/{number}/{upto}").random() < 0.3
        return Verdict(stop, f"at {upto}", record.curve[upto])


def draw(seed: int, number: int) -> float:
    return random.Random(f"{seed}/{number}").random()


def program(task: Task) -> Program:
    """A program decided by its hyperparameter: some fail, some are lost, some print nothing, some are deaf."""
    dice = random.Random(task.hyperparameters["x"] + str(task.attempt))
    kind = dice.random()
    seconds = dice.uniform(0.1, 20.0)
    lines = [(seconds * k / 4, f"acc={dice.random():.4f};") for k in range(1, 4)]
    if kind < 0.15:
        return Program(tuple(lines[:1]), seconds, code=1)
    if kind < 0.25:
        return Program((), seconds, code=-9)
    if kind < 0.3:
        return Program((), seconds)
    if kind < 0.35:
        return Program((*lines, (seconds * 0.9, "acc=nan;")), seconds)
    return Program(tuple(lines), seconds, deaf=dice.choice([0.0, 0.0, 3.0]))


def make_spec(dice: random.Random) -> JobSpec:
    training = Training(
        metrics=(MetricDefinition("acc", "acc=(.*?);"),),
        retries=dice.choice([0, 0, 2]),
        max_runtime=dice.choice([None, None, 15.0]),
    )
    space = Space({"x": ContinuousParameter(0.0, 1.0)})
    return JobSpec(
        name="world",
        definitions=(Definition(space, Objective("acc", Direction.MAXIMIZE), training),),
        strategy=Strategy.RANDOM,
        limits=Limits(dice.randint(1, 4), dice.randint(1, 14), dice.choice([None, None, 60.0])),
        completion=Completion(dice.choice([None, None, 0.97]), dice.choice([None, None, 4])),
        early_stopping=dice.random() < 0.4,
        seed=dice.randrange(1 << 30),
    )


class CrashingStore:
    """A store whose writer may die before or after each commit."""

    def __init__(self, inner: SqlStore, executor: SimulatedExecutor) -> None:
        self._inner, self._executor = inner, executor

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def commit(self, version: int, changes: Sequence[Change], events: Sequence[Event]) -> int:
        self._executor.border()
        self._executor.refusal()
        done = self._inner.commit(version, changes, events)
        self._executor.border()
        self._executor.refusal()
        return done

    def create(self, change: Change, events: Sequence[Event], tags: Mapping[str, str]) -> Stored:
        return self._inner.create(change, events, tags)


class World:
    """A job run to its end by one controller after another."""

    def __init__(self, store: SqlStore, seed: int, hostility: Hostility) -> None:
        self.dice = random.Random(seed)
        self.hostility = hostility
        self.store = store
        self.clock = FakeClock()
        self.disk = Disk(program)
        self.spec = make_spec(self.dice)
        self.crashes = 0
        self.most_live = 0
        self.stop_after = self.dice.choice([None, None, None, self.dice.randint(1, 40)])

    def controller(self) -> Loop:
        executor = SimulatedExecutor(self.disk, self.clock, self.dice, self.hostility)
        store: Store = CrashingStore(self.store, executor)  # type: ignore[assignment]
        advisor = HostileAdvisor(DrawByNumber(), self.dice, self.hostility)
        owner = Owner("sim", "boot", self.crashes + 1, 0.0)
        options = LoopOptions(arn=lambda name: name, dead=lambda _: True)
        return Loop(Recorder(store, self.clock, lambda _: None), executor, advisor, owner, options)

    def run(self) -> Job:
        uid = Recorder(self.store, self.clock, lambda _: None).create(self.spec).job.uid
        loop = self.controller()
        for turn in range(20_000):
            try:
                loop.tick()
                self.most_live = max(self.most_live, self.disk.live(self.clock.now()))
                loop.wait()
            except Crash:
                self.crashes += 1
                loop = self.controller()
            if turn == self.stop_after:
                Recorder(self.store, self.clock, lambda _: None).record(uid, [StopAsked(self.clock.now())])
            if self.store.load(uid).job.status.terminal:
                return self.store.load(uid).job
        raise AssertionError(f"never ended: {self.store.load(uid).job}")


def check(world: World, job: Job) -> None:
    reads = SqlReads(world.store.engine)
    trials = [view.trial for view in reads.all_trials(job.uid)]
    assert job.live == {}
    assert todo(job) == []
    assert world.disk.live(world.clock.now()) == 0, "a program outlived its job"
    assert set(world.disk.starts.values()) <= {1}, "a training job was started twice"
    assert world.most_live <= world.spec.limits.max_parallel
    assert len(trials) == job.launched <= (world.spec.limits.max_jobs or 0)
    assert [t.number for t in trials] == list(range(1, job.launched + 1))
    assert all(not t.status.live for t in trials)
    assert [t.point["x"] for t in trials] == [draw(world.spec.seed, t.number) for t in trials]
    counters = job.counters
    assert counters.ended == len(trials) == counters.succeeded + counters.objective_failed
    names = {t.name for t in trials}
    assert {name for name, _ in world.disk.starts} <= names, "an orphan was started"
    assert refold(world.store, job.uid) == job
    values = [t.value for t in trials if t.value is not None]
    assert (job.best.value if job.best else None) == (max(values) if values else None)
    history = world.store.history(job.uid)
    assert [r.value for r in history.finished()] == [t.value for t in trials]


def refold(store: SqlStore, uid: str) -> Job:
    job: Job | None = None
    for event in store.journal(uid):
        job = step(job, event).job
        again = step(job, event)
        assert again.job == job and not again.points, f"{event} is not idempotent"
    assert job is not None
    return job


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return open_store(f"sqlite:///{tmp_path / 'world.db'}")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hostility", ALL.values(), ids=ALL)
def test_nothing_is_lost_and_nothing_runs_twice(store: SqlStore, seed: int, hostility: Hostility) -> None:
    world = World(store, seed, hostility)
    check(world, world.run())


def test_the_deadly_worlds_do_crash(store: SqlStore) -> None:
    world = World(store, 3, MURDEROUS)
    world.run()
    assert world.crashes > 5


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("hostility", [*ALL.values()][1:], ids=[*ALL][1:])
def test_many_worlds(tmp_path: Path, block: int, hostility: Hostility) -> None:
    for seed in range(1000 + 20 * block, 1020 + 20 * block):
        store = open_store(f"sqlite:///{tmp_path / f'{seed}.db'}")
        world = World(store, seed, hostility)
        check(world, world.run())
        store.close()


def test_an_interrupted_job_makes_the_same_draws_as_an_uninterrupted_one(tmp_path: Path) -> None:
    jobs = []
    for hostility in (CALM, DEADLY):
        store = open_store(f"sqlite:///{tmp_path / str(hostility.crash)}.db")
        world = World(store, 11, hostility)
        world.stop_after = None
        job = world.run()
        jobs.append([r.point for r in store.history(job.uid).records.values()])
        store.close()
    common = min(map(len, jobs))
    assert common > 0 and jobs[0][:common] == jobs[1][:common]
