"""Measure the search on problems of our own: `python -m benchmarks.quality.develop --instances 0:3 --out FILE`.

One JSON line a run (best true value of the incumbent after each trial), then a table by family: NR is regret
over the regret of the median best of ten random trials; GM is the geometric mean of regret over the expected
regret of random search with as many trials, clipped to [0.001, 10].

`--families` takes `bbob` and `bbob20` too (`benchmarks.quality.bbob`; instances from 1), and `wide`
(`benchmarks.quality.wide`); `--strategy` also Optuna's samplers (`benchmarks.quality.rivals`). `--before FILE` tells
the regret of other runs over that of these:

    python -m benchmarks.quality.develop --families bbob,bumps --instances 20:22 --strategy optuna-gp --out gp.jsonl
    python -m benchmarks.quality.develop --families bbob,bumps --instances 20:22 --out ours.jsonl --before gp.jsonl
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import bbob
from benchmarks.quality.fresh import FAMILIES, Fresh
from benchmarks.quality.ratios import Run, ratio_table
from benchmarks.quality.rivals import opened
from benchmarks.quality.wide import wide
from tunewright.core.space import Space
from tunewright.search import Exhausted
from tunewright.search.encode import Cube

BUDGETS = (20, 50)


def run(problem: Fresh, strategy: str, seed: int, parallel: int, budget: int) -> tuple[list[float], list[float]]:
    """True value of the configuration with the lowest observed value after each trial, and seconds of each ask."""
    search = opened(problem.space, strategy, seed)
    noise, durations = np.random.default_rng([seed, 11]), np.random.default_rng([seed, 12])
    running: list[tuple[float, int, float, float]] = []
    best_seen, best_true, now, asked = math.inf, problem.worst, 0.0, 0
    curve: list[float] = []
    seconds: list[float] = []
    while len(curve) < budget:
        while len(running) < parallel and asked < budget:
            started = time.perf_counter()
            try:
                suggestion = search.ask()
            except Exhausted:
                asked = budget
                break
            seconds.append(time.perf_counter() - started)
            true = problem.true(suggestion.values)
            seen = true + problem.noise * float(noise.standard_normal())
            heapq.heappush(running, (now + float(durations.lognormal(0, 0.5)), suggestion.number, seen, true))
            asked += 1
        if not running:
            curve += [best_true] * (budget - len(curve))
            break
        now, number, seen, true = heapq.heappop(running)
        search.tell(number, seen)
        if seen < best_seen:
            best_seen, best_true = seen, true
        curve.append(best_true)
    return curve, seconds


def references(problem: Fresh, samples: int = 2000, most: int = max(BUDGETS)) -> NDArray[np.float64]:
    """Expected best of n random trials for n = 1, ..., `most`; at 0 the median best of ten, which scales NR."""
    cube = Cube(Space(problem.space))
    rows = cube.draw(np.random.default_rng(99).random((samples, cube.d)))
    values = np.sort([min(problem.true(cube.decode(row)), problem.worst) for row in rows])
    place = np.arange(1, samples + 1)
    expected = [math.nan]
    for n in range(1, most + 1):
        tail = (1 - (place - 1) / samples) ** n - (1 - place / samples) ** n
        expected.append(float(values @ tail))
    expected[0] = float(values[int(samples * (1 - 0.5**0.1))])
    return np.array(expected)


def summarise(runs: list[Run], budgets: Sequence[int]) -> str:
    """The table by family."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for one in runs:
        groups[one["problem"].split("-")[0]].append(one)
        groups["all"].append(one)
    heads = ("n", *(f"NR{b}" for b in budgets), "NR>1", "max", *(f"GM{b}" for b in budgets), "ms")
    lines = [f"{'family':10s} " + " ".join(f"{head:>6s}" for head in heads)]
    for name, members in groups.items():
        nr, gm = {}, {}
        for budget in budgets:
            regret = np.array([one["curve"][budget - 1] for one in members])
            reference = np.array([one["reference"] for one in members])
            nr[budget] = regret / np.maximum(reference[:, 0], 1e-12)
            ratio = regret / np.maximum(reference[:, budget], 1e-12)
            gm[budget] = float(np.exp(np.log(np.clip(ratio, 1e-3, 10)).mean()))
        ms = 1000 * float(np.median(np.concatenate([one["seconds"][30:] for one in members])))
        last = nr[budgets[-1]]
        numbers = (*(nr[b].mean() for b in budgets), (last > 1).mean(), last.max(), *gm.values())
        cells = [f"{len(members):6d}", *(f"{number:6.3f}" for number in numbers), f"{ms:6.1f}"]
        lines.append(f"{name:10s} " + " ".join(cells))
    return "\n".join(lines)


def chosen(families: str, instances: range) -> Iterator[tuple[Fresh, int]]:
    """Problems of some families, and their instances."""
    for family in families.split(","):
        for instance in instances:
            if family in bbob.DIMENSIONS:
                found = list(bbob.functions(family, instance))
            else:
                found = [{**FAMILIES, "wide": wide}[family](instance)]
            yield from ((problem, instance) for problem in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--instances", default="0:3", help="first:last, the last not included")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--strategy", default="Bayesian")
    parser.add_argument("--budget", type=int, default=max(BUDGETS), help="trials of each run, at least 50")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--before", type=Path, help="runs of another strategy or version, compared with these")
    given = parser.parse_args()
    budgets = sorted({*BUDGETS, given.budget})
    runs: list[Run] = []
    if given.out:
        given.out.write_text("")
    for problem, instance in chosen(given.families, range(*map(int, given.instances.split(":")))):
        reference = references(problem, most=given.budget).tolist()
        for seed in range(given.seeds):
            curve, seconds = run(problem, given.strategy, 1000 * instance + seed, given.parallel, given.budget)
            runs.append(
                {"problem": problem.name, "seed": seed, "curve": curve, "seconds": seconds, "reference": reference}
            )
            if given.out:
                with given.out.open("a") as out:
                    out.write(json.dumps(runs[-1]) + "\n")
    print(summarise(runs, budgets))
    if given.before:
        before = [json.loads(line) for line in given.before.read_text().splitlines()]
        print(ratio_table(before, runs, budgets, {}))


if __name__ == "__main__":
    main()
