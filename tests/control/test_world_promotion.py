"""Hyperband that pauses and resumes, in a hostile world: no epoch is lost or run twice, nobody waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from test_world import ALL, CALM, CrashingStore, World, refold

from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.pool import DaemonPool
from tunewright.control.recorder import Recorder
from tunewright.core.events import Judged, Promoted
from tunewright.core.history import History
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import step, todo
from tunewright.core.ports import Owner, Store, Task
from tunewright.core.spec import Completion, Hyperband, Limits, Strategy
from tunewright.core.trial import StopCause, Trial, TrialStatus
from tunewright.search.advisor import Engine
from tunewright.search.hyperband import ETA, rungs
from tunewright.search.promotion import value_at
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.world import HostileAdvisor, Hostility, Program, SimulatedExecutor

BOUNDS = Hyperband(1, 9)
OPTIONS = {"hyperband_mode": '"promotion"', "hyperband_proposals": '"random"'}


class AtOnce:
    """Computes in the loop's own thread: no real time passes in this world."""

    def submit(self, work: Callable[..., object], *args: object) -> Future[object]:
        done: Future[object] = Future()
        done.set_result(work(*args))
        return done

    def close(self) -> None:
        """Nothing to end."""


class Promoting(World):
    """A world whose programs go on from their checkpoints: after each epoch one is written."""

    def __init__(self, store: SqlStore, seed: int, hostility: Hostility) -> None:
        super().__init__(store, seed, hostility)
        dice = random.Random(f"promotion {seed}")
        definition = self.spec.definitions[0]
        training = replace(definition.training, checkpoint_uri="sim://checkpoints", retries=0, max_runtime=None)
        self.spec = replace(
            self.spec,
            definitions=(replace(definition, training=training),),
            strategy=Strategy.HYPERBAND,
            hyperband=BOUNDS,
            early_stopping=False,
            limits=Limits(dice.randint(1, 4), dice.randint(1, 25), dice.choice([None, None, None, 200.0])),
            completion=Completion(dice.choice([None, None, 0.97])),
            options=OPTIONS,
        )
        self.disk.program = self.program

    def program(self, task: Task) -> Program:
        """Up to twelve epochs, from the checkpoint on; some fail, some are interrupted once they were resumed."""
        done = self.epochs(task.name)
        dice = random.Random(f"{task.hyperparameters['x']} {task.attempt}")
        worth, pace = float(task.hyperparameters["x"]), dice.uniform(0.05, 3.0)
        left = range(done + 1, 13)
        lines = tuple((pace * k, f"acc={worth * (1 - 0.5 / epoch):.6f};") for k, epoch in enumerate(left, start=1))
        seconds = pace * (len(left) + 0.5)
        if task.attempt > 1 and dice.random() < 0.2:
            return Program(lines[:1], pace * 1.5, code=-15)
        if dice.random() < 0.08:
            return Program(lines[:2], pace * 2.5, code=1)
        return Program(lines, seconds, deaf=dice.choice([0.0, 0.0, 2.0]))

    def epochs(self, name: str) -> int:
        """How many epochs a training job has run, over all its attempts so far."""
        now = self.clock.now()
        return sum(run.output(now).count(b"acc=") for run in self.disk.runs.values() if run.task.name == name)

    def controller(self) -> Loop:
        executor = SimulatedExecutor(self.disk, self.clock, self.dice, self.hostility)
        store: Store = CrashingStore(self.store, executor)  # type: ignore[assignment]  # it hands on what it lacks
        advisor = HostileAdvisor(Engine(), self.dice, self.hostility)
        owner = Owner("sim", "boot", self.crashes + 1, 0.0)
        options = LoopOptions(arn=lambda name: name, dead=lambda _: True)
        pool: DaemonPool = AtOnce()  # type: ignore[assignment]  # it does all that the loop asks of one
        return Loop(Recorder(store, self.clock, lambda _: None), executor, advisor, owner, options, pool)


def check(world: Promoting, job: Job) -> None:
    reads = SqlReads(world.store.engine)
    views = reads.all_trials(job.uid)
    trials = [view.trial for view in views]
    assert todo(job) == [] and not job.unfinished
    assert world.disk.live(world.clock.now()) == 0
    assert set(world.disk.starts.values()) <= {1}, "an attempt was started twice"
    assert world.most_live <= world.spec.limits.max_parallel
    assert len(trials) == job.launched <= (world.spec.limits.max_jobs or 0)
    assert job.counters.ended == len(trials)
    assert refold(world.store, job.uid) == job
    points = reads.points(views)
    for trial in trials:
        check_curve(world, trial, [(p.epoch or 0, p.value) for p in points.get(trial.number, []) if p.objective])
    history = world.store.history(job.uid)
    assert [r.value for r in history.finished()] == [t.value for t in trials]
    promotions(world, job.uid)


def check_curve(world: Promoting, trial: Trial, curve: list[tuple[int, float]]) -> None:
    """Every epoch that ran is in the curve once, at its place, whatever was paused or died in between."""
    if trial.verdict is not None and trial.verdict.cause is StopCause.MAX_RESOURCE:
        # What it printed after that verdict is not looked at, though it may have come to its own end.
        assert curve[-1][0] >= 9
    elif trial.name in {name for name, _ in world.disk.starts}:
        assert len(curve) == world.epochs(trial.name)
    assert [epoch for epoch, _ in curve] == list(range(1, len(curve) + 1))
    worth = float(trial.point["x"])
    assert [value for _, value in curve] == [pytest.approx(worth * (1 - 0.5 / e), abs=1e-5) for e, _ in curve]


def promotions(world: Promoting, uid: str) -> int:
    """Every promotion in the journal was fair when it was made, and the only one past its rung; how many there were."""
    job: Job | None = None
    history = History(world.spec)
    past: Counter[tuple[int, int]] = Counter()
    for event in world.store.journal(uid):
        change = step(job, event)
        if isinstance(event, Promoted) and job is not None:
            # An answer may name more than there are places; only those that go on count.
            went = job.paused.keys() & change.job.live.keys()
            for number in (p.number for p in event.promotions if p.number in went):
                rung = rungs(BOUNDS, max(history.records[number].curve))[-1]
                values = [(-(value_at(r, rung) or 0.0), r.number) for r in history.records.values() if counts(r, rung)]
                assert (sorted(values).index((-(value_at(history.records[number], rung) or 0.0), number))) < len(
                    values
                ) // ETA
                past[number, rung] += 1
        if isinstance(event, Judged) and not event.verdict.stop and event.verdict.value is not None:
            past[event.number, rungs(BOUNDS, event.upto)[-1]] += 1
        job = change.job
        assert len(job.live) <= world.spec.limits.max_parallel
        history.apply(change.facts)
    assert not past or max(past.values()) == 1
    return sum(past.values())


def counts(record: object, rung: int) -> bool:
    from tunewright.core.history import Record
    from tunewright.search.table import State, state_of

    assert isinstance(record, Record)
    return state_of(record) not in (State.BAD, State.VOID) and value_at(record, rung) is not None


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return open_store(f"sqlite:///{tmp_path / 'world.db'}")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hostility", ALL.values(), ids=ALL)
def test_paused_and_resumed_nothing_is_lost(store: SqlStore, seed: int, hostility: Hostility) -> None:
    world = Promoting(store, seed, hostility)
    check(world, world.run())


def test_some_are_paused_some_resumed_and_some_run_in_full(store: SqlStore) -> None:
    world = Promoting(store, 1, CALM)
    world.stop_after = None
    world.spec = replace(world.spec, limits=Limits(2, 24), completion=Completion())
    job = world.run()
    check(world, job)
    trials = [view.trial for view in SqlReads(store.engine).all_trials(job.uid)]
    assert job.status is JobStatus.COMPLETED and job.launched == 24
    assert any(trial.resumptions > 1 for trial in trials)
    assert any(trial.cause is StopCause.MAX_RESOURCE for trial in trials)
    early = [trial for trial in trials if trial.cause is StopCause.EARLY]
    assert len(early) >= 12 and all(t.status is TrialStatus.STOPPED and "paused at epoch" in t.reason for t in early)
    assert promotions(world, job.uid) >= 8
    assert sum(world.epochs(trial.name) for trial in trials) < 24 * 9 / 2


@pytest.mark.slow
@pytest.mark.parametrize("block", range(6))
@pytest.mark.parametrize("hostility", [*ALL.values()][1:], ids=[*ALL][1:])
def test_many_worlds(tmp_path: Path, block: int, hostility: Hostility) -> None:
    for seed in range(2000 + 20 * block, 2020 + 20 * block):
        store = open_store(f"sqlite:///{tmp_path / f'{seed}.db'}")
        world = Promoting(store, seed, hostility)
        check(world, world.run())
        store.close()
