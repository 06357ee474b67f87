"""What the store costs: a commit, a load and the idle look, at 100 and at 10,000 finished training jobs.

    python benchmarks/store.py [--trials 10000] [--output FILE]

Times are CPU time of this process per call, in microseconds (median), so that other work on the machine
counts little; `wall` is elapsed time. `report` commits what a training job printed: its objective and two more
metrics. `turn` is the largest batch of one job that is common: one training job reports, another ends, a new
one is proposed and launched.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tunewright.control.recorder import Recorder, fold
from tunewright.core.events import Event, Exited, Launched, Proposal, Proposed, Reported
from tunewright.core.reads import JobQuery, TrialQuery
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Space
from tunewright.core.spec import Definition, Direction, JobSpec, Limits, MetricDefinition, Objective, Training
from tunewright.core.trial import Cursor, Observation
from tunewright.store.queries import SqlReads
from tunewright.store.store import open_store

PARALLEL = 8
ROUNDS = 300
FILL = 50
"""Training jobs finished by one commit while the store is filled."""


class TickingClock:
    """Time that goes on by itself."""

    def __init__(self) -> None:
        self.at = 1e9

    def now(self) -> float:
        self.at += 0.25
        return self.at

    def at_least(self, at: float) -> None:
        self.at = max(self.at, at)


def make_spec() -> JobSpec:
    """Six parameters, three metrics, and a request of 4 kB kept for Describe."""
    space = Space(
        {f"rate_{i}": ContinuousParameter(1e-5, 1.0) for i in range(3)}
        | {f"layers_{i}": IntegerParameter(1, 64) for i in range(2)}
        | {"optimizer": CategoricalParameter(["sgd", "adam", "lamb"])}
    )
    metrics = tuple(MetricDefinition(name, f"{name}=([0-9.]+)") for name in ("loss", "accuracy", "seconds"))
    training = Training(image="tunewright/script", metrics=metrics, static={"epochs": "30"})
    definition = Definition(space, Objective("loss", Direction.MINIMIZE), training)
    return JobSpec("benchmark", (definition,), limits=Limits(PARALLEL, None), seed=1, request="{" + " " * 4000 + "}")


def proposal(number: int) -> Proposal:
    numbers: dict[str, str | int | float | bool] = {f"rate_{i}": 0.123456789 / (number + i) for i in range(3)}
    return Proposal(number, {**numbers, "layers_0": number % 64 + 1, "layers_1": 3, "optimizer": "adam"})


def begin(now: float, number: int) -> list[Event]:
    return [Proposed(now, (proposal(number),)), Launched(now, number, 1, f"local:{number}")]


def emit(now: float, number: int, epoch: int) -> Reported:
    names = ("loss", "accuracy", "seconds")
    seen = tuple(Observation(name, 1.0 / (number + epoch), now) for name in names)
    return Reported(now, number, 1, Cursor(epoch * 100), Cursor(epoch * 100 + 100), seen)


def fill(recorder: Recorder, uid: str, count: int) -> None:
    """Bring a job to `count` finished training jobs with one epoch each, and PARALLEL live ones."""
    known = recorder.store.load(uid)
    while known.job.launched < count:
        now = recorder.clock.now()
        events: list[Event] = []
        for number in range(known.job.next_number, min(count, known.job.launched + FILL) + 1):
            events += [*begin(now, number), emit(now, number, 0), Exited(now, number, 1, 0)]
        recorder.record(uid, events)
        known = recorder.store.load(uid)
    now = recorder.clock.now()
    recorder.record(uid, [e for n in range(count + 1, count + 1 + PARALLEL) for e in begin(now, n)])


def turns(recorder: Recorder, uid: str) -> list[list[Event]]:
    """Batches that keep PARALLEL training jobs going, each valid after the one before."""
    first = recorder.store.load(uid).job.next_number - PARALLEL
    made: list[list[Event]] = []
    for number in range(first, first + ROUNDS):
        now = recorder.clock.now()
        reported = emit(now, number + 1, 0)
        made.append([reported, Exited(now, number, 1, 0), *begin(now, number + PARALLEL)])
    return made


def reports(recorder: Recorder, uid: str) -> list[list[Event]]:
    """Batches in which one training job goes on and on."""
    number = recorder.store.load(uid).job.next_number - 1
    return [[emit(recorder.clock.now(), number, epoch)] for epoch in range(ROUNDS)]


def measure(calls: Callable[[int], object], rounds: int) -> dict[str, float]:
    """Median CPU and wall time of a call in microseconds."""
    cpu, wall = [], []
    for number in range(rounds):
        began, used = time.perf_counter_ns(), time.process_time_ns()
        calls(number)
        cpu.append((time.process_time_ns() - used) / 1000)
        wall.append((time.perf_counter_ns() - began) / 1000)
    return {"cpu": round(statistics.median(cpu), 1), "wall": round(statistics.median(wall), 1)}


def measure_commits(recorder: Recorder, uid: str, batches: list[list[Event]]) -> dict[str, float]:
    """Commits alone; folding is done before."""
    stored = recorder.store.load(uid)
    job, prepared = stored.job, []
    for events in batches:
        moves = fold(job, events)
        job = moves[-1][1].job
        prepared.append(([change for _, change in moves], [event for event, _ in moves]))
    return measure(lambda number: recorder.store.commit(stored.version + number, *prepared[number]), len(batches))


def run(count: int, directory: Path) -> dict[str, dict[str, float]]:
    url = f"sqlite:///{directory / f'{count}.db'}"
    store = open_store(url)
    recorder = Recorder(store, TickingClock(), lambda _seconds: None)
    uid = recorder.create(make_spec(), {"team": "benchmark"}).job.uid
    fill(recorder, uid, count)
    reads = SqlReads(store.engine)
    pages = TrialQuery(job_uid=uid, limit=100)
    best = TrialQuery(job_uid=uid, limit=10, sort="FinalObjectiveMetricValue")
    results = {
        "report": measure_commits(recorder, uid, reports(recorder, uid)),
        "turn": measure_commits(recorder, uid, turns(recorder, uid)),
        "load": measure(lambda _: store.load(uid), ROUNDS),
        "versions": measure(lambda _: store.versions(), ROUNDS),
        "open": measure(lambda _: open_store(url).close(), 50),
        "jobs page": measure(lambda _: reads.jobs(JobQuery()), 50),
        "trials page": measure(lambda _: reads.trials(pages), 50),
        "best ten": measure(lambda _: reads.trials(best), 50),
        "history": measure(lambda _: store.history(uid), 3),
    }
    store.close()
    return results


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=10_000)
    arguments.add_argument("--output", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        results = {str(count): run(count, Path(directory)) for count in (100, given.trials)}
    text = json.dumps(results, indent=2)
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
