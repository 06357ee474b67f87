"""Whether a tuning job grows slower: one event and one idle tick, at 100 and at 10,000 finished training jobs.

    python -m benchmarks.growth [--trials 10000]

`event` is load, step and commit of one report through the recorder; `idle tick` is a round of the loop while one
training job runs and says nothing. CPU microseconds of this process (median over rounds), so that other work on the
machine counts little.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

from benchmarks.store import PARALLEL, ROUNDS, TickingClock, fill, make_spec, measure, reports
from tunewright.control.loop import Loop
from tunewright.control.options import LoopOptions
from tunewright.control.recorder import Recorder
from tunewright.core.ports import Advisor, Owner, Task
from tunewright.search.advisor import Engine
from tunewright.store.store import open_store
from tunewright.testing.world import Disk, FakeClock, Hostility, Program, SimulatedExecutor


def silent(task: Task) -> Program:
    """A program that runs for ever and prints nothing."""
    return Program((), 1e12)


def idle_loop(recorder: Recorder) -> Loop:
    """A loop that holds the job and has launched all that there was to launch."""
    clock = FakeClock(recorder.clock.now())
    executor = SimulatedExecutor(Disk(silent), clock, random.Random(1), Hostility())
    advisor: Advisor = Engine()
    loop = Loop(recorder, executor, advisor, Owner("here", "boot", 1, 0.0), LoopOptions(arn=str))
    for _ in range(PARALLEL + 5):
        loop.tick()
    return loop


def run(count: int, directory: Path) -> dict[str, dict[str, float]]:
    store = open_store(f"sqlite:///{directory / f'{count}.db'}")
    recorder = Recorder(store, TickingClock(), lambda _seconds: None)
    uid = recorder.create(make_spec()).job.uid
    fill(recorder, uid, count)
    batches = reports(recorder, uid)
    results = {"event": measure(lambda number: recorder.record(uid, batches[number]), ROUNDS)}
    loop = idle_loop(recorder)
    results["idle tick"] = measure(lambda _: loop.tick(), ROUNDS)
    store.close()
    return results


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--trials", type=int, default=10_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        few, many = (run(count, Path(directory)) for count in (100, given.trials))
    ratios = {name: round(many[name]["cpu"] / few[name]["cpu"], 2) for name in few}
    print(json.dumps({"100": few, str(given.trials): many, "ratio": ratios}, indent=2))


if __name__ == "__main__":
    main()
