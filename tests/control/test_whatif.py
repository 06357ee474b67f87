"""What another rule would have done: by hand on scripted curves, and as a law on simulated runs."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.control.whatif import what_if
from tunewright.core.events import Created, Event, Exited, Judged, Launched, Proposal, Proposed, Reported
from tunewright.core.ports import Owner, Task
from tunewright.core.space import ContinuousParameter, Space
from tunewright.core.spec import (
    Definition,
    Direction,
    Hyperband,
    JobSpec,
    Limits,
    MetricDefinition,
    Objective,
    Strategy,
    Training,
)
from tunewright.core.trial import Cursor, Failure, Observation, StopCause
from tunewright.search.advisor import Engine
from tunewright.store.store import open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor

LOSS = MetricDefinition("loss", "loss=(.*?);")


def spec(direction: Direction = Direction.MINIMIZE, jobs: int = 10, parallel: int = 1) -> JobSpec:
    objective = Objective("loss", direction)
    definition = Definition(Space({"x": ContinuousParameter(0.0, 1.0)}), objective, Training(metrics=(LOSS,)))
    return JobSpec("job", (definition,), Strategy.RANDOM, Limits(parallel, jobs), seed=3, strict=True)


def auto(of: JobSpec) -> JobSpec:
    return replace(of, early_stopping=True)


def halving(of: JobSpec, least: int, most: int) -> JobSpec:
    return replace(of, strategy=Strategy.HYPERBAND, hyperband=Hyperband(least, most))


def one_by_one(of: JobSpec, *curves: list[float], codes: dict[int, int] | None = None) -> list[Event]:
    """The journal of training jobs that ran one after another, an emission every ten seconds."""
    events: list[Event] = [Created(0.0, "uid", of)]
    at = 0.0
    for number, curve in enumerate(curves, 1):
        events += [Proposed(at, (Proposal(number, {"x": number / 100}),)), Launched(at, number, 1, f"h{number}")]
        cursor = Cursor()
        for value in curve:
            at += 10.0
            then = replace(cursor, stdout=cursor.stdout + 1)
            events.append(Reported(at, number, 1, cursor, then, (Observation("loss", value, at),)))
            cursor = then
        code = (codes or {}).get(number, 0)
        events.append(Exited(at, number, 1, code, Failure.ALGORITHM if code else None, "died" if code else ""))
    return events


A, B, C = [1.0, 0.8, 0.6], [1.0, 0.9, 0.8], [1.0, 1.0, 1.0]
D, E = [1.0, 0.94, 0.95, 0.5], [1.0, 0.94, 0.85, 0.7]


def test_the_median_rule_would_have_stopped_one_at_epoch_three() -> None:
    of = spec()
    found = what_if(one_by_one(of, A, B, C, D, E), auto(of), Engine())
    [stopped] = found.stopped
    assert (stopped.number, stopped.epoch, stopped.seconds, stopped.value) == (4, 3, 30.0, 0.95)
    assert stopped.verdict is not None
    assert (stopped.verdict.value, stopped.verdict.threshold, stopped.verdict.cause) == (0.95, 0.9, StopCause.EARLY)
    assert stopped.verdict.why == "stopped at epoch 3: 0.95 against the median 0.9 of 3 jobs"
    assert (found.epochs_saved(), found.seconds_saved()) == (1, 10.0)
    assert found.best_recorded is not None and found.best_recorded.value == 0.5
    assert found.best_supposed is not None and (found.best_supposed.number, found.best_supposed.value) == (1, 0.6)
    assert found.regret == pytest.approx(0.1)
    assert found.unknown == []


def test_a_program_that_was_gone_before_its_last_value_was_read_saves_nothing_and_costs_nothing() -> None:
    of = halving(spec(parallel=2), 1, 3)
    *before, last = one_by_one(of, [1.0, 0.9, 0.8])
    assert isinstance(last, Exited)
    news = Proposed(last.at, (Proposal(2, {"x": 0.5}),))
    found = what_if([*before, news, replace(last, at=last.at - 1)], of, Engine())
    assert [(course.number, course.epoch) for course in found.stopped] == [(1, 3)]
    assert (found.epochs_saved(), found.seconds_saved()) == (0, 0.0)


def test_off_stops_nothing_and_what_was_stopped_goes_on_into_the_unknown() -> None:
    of = auto(spec())
    journal = one_by_one(of, A, B, C, D)[:-2]
    verdict = what_if(journal, of, Engine()).supposed[4].verdict
    assert verdict is not None
    at = journal[-1].at
    journal += [Judged(at, 4, 1, 3, verdict), Exited(at + 1, 4, 1, -15, killed=True)]
    found = what_if(journal, replace(of, early_stopping=False), None)
    assert found.stopped == [] and found.unknown == [4]
    assert (found.epochs_saved(), found.seconds_saved(), found.regret) == (0, 0.0, 0.0)


@pytest.mark.parametrize("direction", list(Direction))
def test_halving_ends_the_weak_and_whoever_reaches_the_maximum(direction: Direction) -> None:
    sign = -1.0 if direction is Direction.MAXIMIZE else 1.0
    of = spec(direction)
    curves = [[sign * level] * 5 for level in (0.5, 0.6, 0.7, 0.4)]
    found = what_if(one_by_one(of, *curves), halving(of, 1, 4), Engine())
    causes = {c.number: (c.epoch, c.verdict.cause) for c in found.stopped if c.verdict is not None}
    assert causes == {
        1: (4, StopCause.MAX_RESOURCE),
        2: (4, StopCause.MAX_RESOURCE),
        3: (1, StopCause.EARLY),
        4: (4, StopCause.MAX_RESOURCE),
    }
    assert found.regret == 0.0 and found.epochs_saved() == 1 + 1 + 4 + 1


def test_a_job_that_is_stopped_counts_as_finished_for_those_after_it() -> None:
    """The stopped one's curve up to its stop is what others are compared with, not what it emitted later."""
    of = spec()
    late = [1.0, 0.99, 0.0]
    found = what_if(one_by_one(of, A, B, A, late, [1.0, 0.96, 0.9]), auto(of), Engine())
    assert [(c.number, c.epoch) for c in found.stopped] == [(4, 2), (5, 2)]
    last = found.supposed[5].verdict
    assert last is not None and last.threshold == pytest.approx((0.9 + 0.95) / 2)


def test_nan_failures_and_gaps_are_borne() -> None:
    of = spec()
    curves = [A, B, C, [1.0, float("nan"), 2.0, 0.0], [float("nan")] * 3, [0.1]]
    found = what_if(one_by_one(of, *curves, codes={6: 1}), auto(of), Engine())
    assert [(c.number, c.epoch) for c in found.stopped] == [(4, 3)]
    assert found.supposed[5].value is None and found.supposed[6].value is None


def test_a_best_that_is_lost_with_all_else_has_no_regret_in_numbers() -> None:
    of = spec()
    found = what_if(one_by_one(of, [float("nan")]), auto(of), Engine())
    assert found.best_recorded is None and found.regret is None


# ---- a law: under the rule that was in force, the same training jobs stop at the same epochs ----


def program(task: Task) -> Program:
    dice = random.Random(task.hyperparameters["x"])
    level, epochs = dice.random(), dice.randint(4, 9)
    step = dice.uniform(0.3, 3.0)
    lines = [(step * k, f"loss={level + dice.random() / k:.3f};") for k in range(1, epochs + 1)]
    return Program(tuple(lines), step * (epochs + 0.7), code=dice.choice([0, 0, 0, 0, 1]), deaf=dice.choice([0.0, 2.0]))


def run(folder: Path, of: JobSpec) -> list[Event]:
    """The journal of a job in a calm simulated world."""
    store = open_store(f"sqlite:///{folder / 'world.db'}")
    clock, disk = FakeClock(), Disk(program)
    recorder = Recorder(store, clock, lambda _: None)
    uid = recorder.create(of).job.uid
    executor = SimulatedExecutor(disk, clock, random.Random(1), Hostility())
    options = LoopOptions(arn=lambda name: name, dead=lambda _: True)
    loop = Loop(recorder, executor, Engine(), Owner("sim", "boot", 1, 0.0), options)
    for _ in range(20_000):
        loop.tick()
        if store.load(uid).job.status.terminal:
            break
        loop.wait()
    journal = store.journal(uid)
    loop.close()
    store.close()
    return journal


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("rule", ["Auto", "hyperband"])
def test_the_rule_in_force_gives_the_recorded_stops(tmp_path: Path, rule: str, parallel: int) -> None:
    plain = spec(jobs=24, parallel=parallel)
    of = auto(plain) if rule == "Auto" else halving(plain, 1, 6)
    found = what_if(run(tmp_path, of), of, Engine())
    in_truth = {n: (c.epoch, c.verdict) for n, c in found.recorded.items() if c.verdict is not None}
    supposed = {c.number: (c.epoch, c.verdict) for c in found.stopped}
    assert len(in_truth) >= 5
    assert {n: supposed.get(n) for n in in_truth} == in_truth
    assert found.unknown == []
    # A program that ended before its verdict could be given was told to stop all the same.
    beyond = [found.recorded[n] for n in supposed.keys() - in_truth.keys()]
    assert all(c.epoch == supposed[c.number][0] for c in beyond)


def test_a_run_without_a_rule_is_what_a_rule_is_tried_on(tmp_path: Path) -> None:
    of = spec(jobs=16, parallel=2)
    journal = run(tmp_path, of)
    off, on = (what_if(journal, rule, Engine()) for rule in (of, auto(of)))
    assert off.stopped == [] and off.epochs_saved() == 0
    assert len(on.stopped) > 3 and on.epochs_saved() > 10
    assert all(on.supposed[n].epoch <= course.epoch for n, course in on.recorded.items())
    assert on.regret is not None and on.regret >= 0
