"""Replicates and kept models in a hostile world: the books agree with the rows, the best's model is never removed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from test_world import ALL, MURDEROUS, CrashingStore, World, refold

from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.job import Job, JobStatus
from tunewright.core.machine import todo
from tunewright.core.ports import Owner, Store, Task
from tunewright.core.replicates import configurations
from tunewright.core.spec import JobSpec, Limits
from tunewright.core.trial import Trial
from tunewright.search.advisor import Engine
from tunewright.store.queries import SqlReads
from tunewright.store.store import SqlStore, open_store
from tunewright.testing.world import Crash, HostileAdvisor, Hostility, SimulatedExecutor


class Watchful(World):
    """A world with the real engine that looks at every removal and at every moment."""

    def __init__(self, store: SqlStore, seed: int, hostility: Hostility, spec: JobSpec) -> None:
        super().__init__(store, seed, hostility)
        self.spec = spec

    def controller(self) -> Loop:
        executor = SimulatedExecutor(self.disk, self.clock, self.dice, self.hostility)
        store: Store = CrashingStore(self.store, executor)  # type: ignore[assignment]  # it hands on what it lacks

        def discard(task: Task, model: str) -> None:
            row = SqlReads(self.store.engine).trial(task.name).trial
            assert not row.status.live, "removed before its end was recorded"
            assert row.model == model
            executor.discard(task, model)

        advisor = HostileAdvisor(Engine(), self.dice, self.hostility)
        owner = Owner("sim", "boot", self.crashes + 1, 0.0)
        options = LoopOptions(arn=lambda name: name, dead=lambda _: True, discard=discard)
        return Loop(Recorder(store, self.clock, lambda _: None), executor, advisor, owner, options)

    def watch(self, job: Job) -> None:
        if job.best is not None:
            assert job.best.name not in self.disk.removed, "the model of the best was removed"


def watched(world: Watchful) -> Job:
    """The job at its end, looked at after every turn."""
    uid = Recorder(world.store, world.clock, lambda _: None).create(world.spec).job.uid
    loop = world.controller()
    for _ in range(20_000):
        try:
            loop.tick()
            loop.wait()
        except Crash:
            world.crashes += 1
            loop = world.controller()
        job = world.store.load(uid).job
        world.watch(job)
        if job.status.terminal:
            return job
    raise AssertionError(f"never ended: {job}")


def made(store: SqlStore, seed: int, hostility: Hostility) -> Watchful:
    dice = random.Random(f"extended {seed}")
    base = World(store, seed, hostility).spec
    replicates, keep = dice.choice([1, 2, 3]), dice.choice([1, 2, 4])
    limits = Limits(dice.randint(1, 4), replicates * dice.randint(1, 5), None)
    options = {"keep_best": json.dumps(keep), "replicates": json.dumps(replicates)}
    return Watchful(store, seed, hostility, replace(base, limits=limits, options=options))


def check(world: Watchful, job: Job) -> None:
    trials = [view.trial for view in SqlReads(world.store.engine).all_trials(job.uid)]
    assert todo(job) == [] and not job.dropped and not job.live
    assert set(world.disk.starts.values()) <= {1} and len(trials) == job.launched
    assert job.launched <= (world.spec.limits.max_jobs or 0)
    refolded = refold(world.store, job.uid)
    assert refolded == job
    check_means(world, job, trials)
    check_models(world, job, trials)


def check_means(world: Watchful, job: Job, trials: list[Trial]) -> None:
    count, objective = world.spec.replicates, world.spec.definitions[0].objective
    assert objective is not None
    found = configurations(trials, count, objective)
    assert all(len({json.dumps(dict(t.point)) for t in each.trials}) == 1 for each in found)
    assert len({json.dumps(dict(each.point)) for each in found}) == len(found)
    tasks = {run.task.name: run.task for run in world.disk.runs.values()}
    for each in found:
        for place, trial in enumerate(each.trials, start=1):
            if trial.name in tasks:
                told = tasks[trial.name].training.environment.get("TUNEWRIGHT_REPLICATE")
                assert told == (str(place) if count > 1 else None)
    whole = [each.result for each in found if each.counts and each.result is not None]
    if whole:
        top = max(whole, key=lambda each: (each.value, -each.number))
        assert job.best == top
    if job.status is JobStatus.COMPLETED and job.ending is not None and "training jobs have run" in job.ending.why:
        assert len(trials) == world.spec.limits.max_jobs


def check_models(world: Watchful, job: Job, trials: list[Trial]) -> None:
    keep = world.spec.keep_best
    assert keep is not None
    valued = sorted(((t.value, -t.number) for t in trials if t.value is not None), reverse=True)
    staying = {-number for _, number in valued[:keep]} | ({job.best.number} if job.best else set())
    for trial in trials:
        assert (trial.name in world.disk.removed) == trial.discarded
        assert trial.discarded == (bool(trial.model) and trial.number not in staying), trial.number
        assert trial.artifacts == ("" if trial.discarded else trial.model)
    assert {number for number, _ in job.kept.items()} <= staying


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return open_store(f"sqlite:///{tmp_path / 'world.db'}")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("hostility", ALL.values(), ids=ALL)
def test_means_and_models_survive_whatever_dies(store: SqlStore, seed: int, hostility: Hostility) -> None:
    world = made(store, seed, hostility)
    check(world, watched(world))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_many_extended_worlds(tmp_path: Path, block: int) -> None:
    for seed in range(100 + 6 * block, 106 + 6 * block):
        store = open_store(f"sqlite:///{tmp_path / f'{seed}.db'}")
        world = made(store, seed, MURDEROUS)
        check(world, watched(world))
        store.close()
