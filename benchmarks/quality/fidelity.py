"""Hyperband measured on learning curves, in simulated time: stopping or promotion, the model or chance proposing.

    python -m benchmarks.quality.fidelity --schedulers model,random,promotion --problems rate,net --instances 0:3

`--problems` takes our own families (`benchmarks.quality.curves`), and `suite` for the curves of `hpobench_suite`
where that is on the path. P workers train epoch by epoch, each trial at its own speed, until `--full-trainings`
times the full resource has been spent. A result counts once its configuration is fully trained. Printed: NR
(regret over that of the median best of ten random full trainings) at 25 % and 100 % of the budget.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.quality.curves import FAMILIES, CurveProblem, Floats
from benchmarks.quality.schedulers import SCHEDULERS, Order, Scheduler
from tunewright.search import Exhausted

Run: TypeAlias = dict[str, object]

SHARES = (0.25, 1.0)


@dataclass
class _Training:
    """A configuration being trained."""

    curve: Floats
    true: float
    speed: float
    epoch: int = 0


@dataclass
class Simulation:
    """One run of a scheduler on a problem."""

    problem: CurveProblem
    scheduler: Scheduler
    seed: int
    parallel: int = 1
    finished: list[tuple[int, float]] = field(default_factory=list)
    started: int = 0
    spent: int = 0
    seconds: float = 0.0

    def run(self, full_trainings: int) -> None:
        """Spend the budget, or all of a finite space.

        `finished` holds the epochs spent at the end of each full training, and its value.
        """
        speeds = np.random.default_rng([zlib.crc32(self.problem.name.encode()), self.seed])
        busy: list[tuple[float, int]] = []
        trainings: dict[int, _Training] = {}
        now = 0.0

        def launch() -> None:
            began = time.perf_counter()
            try:
                start = self.scheduler.start()
            except Exhausted:
                return
            finally:
                self.seconds += time.perf_counter() - began
            if start.token not in trainings:
                self.started += 1
                curve, true = self.problem.seen(start.values), self.problem.true(start.values)
                trainings[start.token] = _Training(curve, true, float(speeds.lognormal(0.0, 0.3)))
            heapq.heappush(busy, (now + trainings[start.token].speed, start.token))

        for _ in range(self.parallel):
            launch()
        while busy and self.spent < full_trainings * self.problem.epochs:
            now, token = heapq.heappop(busy)
            one = trainings[token]
            one.epoch += 1
            self.spent += 1
            began = time.perf_counter()
            order = self.scheduler.report(token, one.epoch, float(one.curve[one.epoch - 1]))
            self.seconds += time.perf_counter() - began
            if one.epoch >= self.problem.epochs:
                self.finished.append((self.spent, one.true))
            if order is Order.GO and one.epoch < self.problem.epochs:
                heapq.heappush(busy, (now + one.speed, token))
            else:
                launch()

    def regret(self, epochs: float) -> float:
        """NR of the best full training within so many epochs; that of the worst possible where there is none."""
        done = [value for spent, value in self.finished if spent <= epochs]
        return self.problem.regret(min(done)) if done else math.nan


def play(problem: CurveProblem, scheduler: str, seed: int, parallel: int, full_trainings: int) -> Run:
    simulation = Simulation(problem, SCHEDULERS[scheduler](problem.space, problem.epochs, seed), seed, parallel)
    simulation.run(full_trainings)
    budget = full_trainings * problem.epochs
    return {
        "scheduler": scheduler,
        "problem": problem.name,
        "seed": seed,
        "parallel": parallel,
        "nr": [simulation.regret(share * budget) for share in SHARES],
        "full": len(simulation.finished),
        "started": simulation.started,
        "ms": 1000 * simulation.seconds / max(1, simulation.started),
    }


def summarise(runs: list[Run]) -> str:
    """A table by scheduler: all, then each family."""
    families = sorted({str(run["problem"]).rpartition("-")[0] for run in runs})
    lines = [f"{'scheduler':22s} {'n':>4s} {'NR25':>6s} {'NR100':>6s} {'full':>5s} {'begun':>6s} {'ms':>6s}  by family"]
    for name in dict.fromkeys(str(run["scheduler"]) for run in runs):
        own = [run for run in runs if run["scheduler"] == name]
        nr = np.array([run["nr"] for run in own], dtype=np.float64)
        parts = []
        for family in families:
            of = [str(run["problem"]).rpartition("-")[0] == family for run in own]
            if any(of):
                parts.append(f"{family} {np.nanmean(nr[of, 0]):.2f}/{np.nanmean(nr[of, 1]):.2f}")
        rest = [float(np.mean([float(str(run[key])) for run in own])) for key in ("full", "started", "ms")]
        numbers = (
            f"{np.nanmean(nr[:, 0]):6.3f} {np.nanmean(nr[:, 1]):6.3f} {rest[0]:5.0f} {rest[1]:6.0f} {rest[2]:6.1f}"
        )
        lines.append(f"{name:22s} {len(own):4d} {numbers}  {'  '.join(parts)}")
    return "\n".join(lines)


def chosen(names: str, instances: str) -> Iterator[CurveProblem]:
    """The problems that the command line names."""
    first, last = map(int, instances.split(":"))
    for name in names.split(","):
        if name == "suite":
            from benchmarks.quality.suite_curves import suite_curves

            yield from suite_curves()
        else:
            yield from (FAMILIES[name](instance) for instance in range(first, last))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedulers", default=",".join(SCHEDULERS))
    parser.add_argument("--problems", default=",".join(FAMILIES))
    parser.add_argument("--instances", default="0:2", help="first:last of our own families, the last not included")
    parser.add_argument("--seeds", default="0:3", help="first:last, the last not included")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--full-trainings", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    first, last = map(int, given.seeds.split(":"))
    runs: list[Run] = []
    if given.out:
        given.out.write_text("")
    for problem in chosen(given.problems, given.instances):
        for scheduler in given.schedulers.split(","):
            for seed in range(first, last):
                runs.append(play(problem, scheduler, seed, given.parallel, given.full_trainings))
                if given.out:
                    with given.out.open("a") as out:
                        out.write(json.dumps(runs[-1]) + "\n")
    print(summarise(runs))


if __name__ == "__main__":
    main()
