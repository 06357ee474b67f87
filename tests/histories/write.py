"""Writes the recorded tuning jobs anew: each is run to its end in a simulated world with the real strategies.

`python tests/histories/write.py [NAME ...]`; parents come before those that begin from them.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from concurrent.futures import wait
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from histories.record import HERE, Recording, read
from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.events import Created, Event, Resumed, StopAsked
from tunewright.core.job import JobStatus
from tunewright.core.machine import step
from tunewright.core.ports import Owner, Task
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Scaling, Space
from tunewright.core.spec import (
    Completion,
    Definition,
    Direction,
    Hyperband,
    JobSpec,
    Limits,
    MetricDefinition,
    Objective,
    Strategy,
    Training,
    WarmStart,
)
from tunewright.search.advisor import Engine
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor

MIXED = Space(
    {
        "rate": ContinuousParameter(0.001, 1.0, Scaling.LOGARITHMIC),
        "units": IntegerParameter(4, 64),
        "kind": CategoricalParameter(("a", "b")),
    }
)
FINITE = Space({"kind": CategoricalParameter(("a", "b", "c")), "solver": CategoricalParameter(("x", "y", "z"))})
LOSS = (MetricDefinition("loss", "loss=(.*?);"),)


def definition(space: Space = MIXED, name: str | None = None, **training: object) -> Definition:
    # The training's fields are a test's own business.
    return Definition(space, Objective("loss", Direction.MINIMIZE), Training(metrics=LOSS, **training), name)  # type: ignore[arg-type]


def spec(name: str, strategy: Strategy, *definitions: Definition, jobs: int = 9, parallel: int = 2) -> JobSpec:
    limits = Limits(parallel, jobs)
    return JobSpec(name, definitions or (definition(),), strategy, limits, seed=7, strict=True)


@dataclass(frozen=True, slots=True)
class Case:
    """Args:
    parents: recordings to begin from.
    then: told to the job when it has ended, or after so many turns of the loop.
    """

    spec: JobSpec
    parents: tuple[str, ...] = ()
    resumed: int = 0
    stopped_at: int | None = None


def early(of: JobSpec) -> JobSpec:
    return replace(of, early_stopping=True)


def halving(of: JobSpec) -> JobSpec:
    return replace(of, hyperband=Hyperband(1, 5))


def promoting(of: JobSpec) -> JobSpec:
    """By chance, with programs that go on from their checkpoints."""
    options = {"hyperband_mode": '"promotion"', "hyperband_proposals": '"random"'}
    one = replace(of.definitions[0], training=replace(of.definitions[0].training, checkpoint_uri="sim://checkpoints"))
    return replace(of, definitions=(one,), options=options, strict=False)


def warm(of: JobSpec, kind: str, *parents: str) -> Case:
    return Case(replace(of, warm_start=WarmStart(kind, parents)), parents)


TWO = (definition(name="one"), definition(FINITE, name="two", retries=2))
FIRST = "random-early-stopping"
WIDER = Space({**MIXED.parameters, "rate": ContinuousParameter(0.0001, 1.0, Scaling.LOGARITHMIC)})


def cases() -> dict[str, Case]:
    wider = definition(WIDER)
    return {
        FIRST: Case(early(spec(FIRST, Strategy.RANDOM, jobs=12, parallel=3))),
        "random-warm-start": warm(spec("random-warm-start", Strategy.RANDOM), "TransferLearning", FIRST),
        "random-several": Case(spec("random-several", Strategy.RANDOM, *TWO, parallel=3), stopped_at=130),
        "grid-early-stopping": Case(
            replace(early(spec("grid-early-stopping", Strategy.GRID, definition(FINITE), jobs=6)), strict=False),
            resumed=3,
        ),
        "grid-several": Case(
            spec("grid-several", Strategy.GRID, definition(FINITE, "one"), definition(FINITE, "two"), jobs=12)
        ),
        "hyperband": Case(halving(spec("hyperband", Strategy.HYPERBAND, jobs=14, parallel=3))),
        "hyperband-by-model": Case(
            replace(halving(spec("hyperband-by-model", Strategy.HYPERBAND, jobs=10)), strict=False)
        ),
        "hyperband-promotion": Case(
            promoting(halving(spec("hyperband-promotion", Strategy.HYPERBAND, jobs=16, parallel=3)))
        ),
        "hyperband-several": Case(halving(spec("hyperband-several", Strategy.HYPERBAND, *TWO, jobs=12))),
        "bayesian-early-stopping": Case(
            replace(
                early(spec("bayesian-early-stopping", Strategy.BAYESIAN, jobs=12)),
                completion=Completion(not_improving=8),
            )
        ),
        "bayesian-identical": warm(spec("bayesian-identical", Strategy.BAYESIAN), "IdenticalDataAndAlgorithm", FIRST),
        "bayesian-transfer": warm(
            early(spec("bayesian-transfer", Strategy.BAYESIAN, wider, parallel=1)),
            "TransferLearning",
            FIRST,
            "hyperband",
        ),
        "bayesian-several": Case(spec("bayesian-several", Strategy.BAYESIAN, *TWO, jobs=16, parallel=1)),
    }  # fmt: skip


def program(task: Task, done: int) -> Program:
    """A curve that falls towards a level which the configuration decides; a few programs fail or are lost.

    Args:
        done: epochs that were checkpointed.
    """
    point = {name: text for name, text in task.hyperparameters.items() if not name.startswith("_")}
    dice = random.Random(f"{sorted(point.items())}/{task.attempt}")
    level = abs(float(point.get("rate", "0.1")) - 0.1) + 0.3 * (point.get("kind") == "b") + 0.2 * (task.number % 3 == 0)
    epochs, step_ = dice.randint(3, 6), round(dice.uniform(0.5, 3.0), 1)
    left = range(done + 1, max(epochs, done) + 1)
    lines = tuple((step_ * (k - done), f"loss={level + 1 / k + 0.1 * dice.random():.3f};") for k in left)
    code = -9 if point.get("solver") == "y" and task.attempt == 1 else dice.choice([0] * 8 + [1, -9])
    return Program(lines[:2] if code else lines, step_ * (len(left) + 0.6), code)


def checkpointed(disk: Disk, task: Task) -> int:
    """Epochs that earlier attempts of a training job with checkpoints have printed."""
    if task.checkpoint_uri is None:
        return 0
    runs = [run for (name, _), run in disk.runs.items() if name == task.name]
    return sum(run.output(run.ends()).count(b"loss=") for run in runs)


def journal_of(case: Case, folder: Path) -> Recording:
    """Run a case to its end."""
    store = open_store(f"sqlite:///{folder / 'world.db'}")
    clock = FakeClock(1_000.0)
    recorder = Recorder(store, clock, lambda _: None)
    for parent in case.parents:
        replay_into(store, parent)
    uid = hashlib.sha256(case.spec.name.encode()).hexdigest()[:32]
    created = Created(clock.now(), uid, case.spec)
    store.create(step(None, created), [created], {})
    disk = Disk(lambda task: program(task, checkpointed(disk, task)))
    executor = SimulatedExecutor(disk, clock, random.Random(1), Hostility())
    options = LoopOptions(arn=lambda name: name, dead=lambda _: True)
    loop = Loop(recorder, executor, Engine(), Owner("sim", "boot", 1, 0.0), options)
    resumed = case.resumed
    for turn in range(20_000):
        loop.tick()
        thinking = [held.proposing for held in loop.held.values() if held.proposing is not None]
        if thinking:
            wait(thinking)
            loop.tick()
        if turn == case.stopped_at:
            recorder.record(uid, [StopAsked(clock.now())])
            loop.wake()
        if store.load(uid).job.status.terminal:
            if not resumed:
                break
            recorder.record(uid, [Resumed(clock.now(), resumed)])
            resumed = 0
            loop.wake()
        loop.wait()
    reads = SqlReads(store.engine)
    job = store.load(uid).job
    assert job.status in (JobStatus.COMPLETED, JobStatus.STOPPED), job
    views = reads.all_trials(uid)
    trials, points = tuple(view.trial for view in views), reads.points(views)
    curves = {t.number: [(p.epoch or 0, p.value) for p in points.get(t.number, []) if p.objective] for t in trials}
    found = Recording(case.spec.name, case.parents, tuple(store.journal(uid)), job, trials, curves)
    loop.close()
    store.close()
    return found


def replay_into(store: object, name: str) -> None:
    """Put a recorded job into a store, as the parent of another."""
    recording = read(name)
    first, *rest = recording.journal
    change = step(None, first)
    store.create(change, [first], {})  # type: ignore[attr-defined]
    version = store.load(change.job.uid).version  # type: ignore[attr-defined]
    job, changes, events = change.job, [], list[Event]()
    for event in rest:
        changed = step(job, event)
        job = changed.job
        changes.append(changed)
        events.append(event)
    store.commit(version, changes, events)  # type: ignore[attr-defined]


def main(wanted: list[str]) -> None:
    for name, case in cases().items():
        if not wanted or name in wanted:
            with tempfile.TemporaryDirectory() as folder:
                text = journal_of(case, Path(folder)).text()
            (HERE / f"{name}.json").write_text(text, encoding="utf-8")
            print(name, len(text))


if __name__ == "__main__":
    main(sys.argv[1:])
