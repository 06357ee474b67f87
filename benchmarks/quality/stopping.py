"""Convergence measured: would stopping have saved much, and lost little?

    python -m benchmarks.quality.stopping --instances 30:33 --seeds 2

Runs of the Bayesian strategy on problems of our own go on to 50 in any case; where `converged` was first said is
noted. *Stale* runs are those whose last ten trials improved NR by less than 0.01: at least a third of them
should have been stopped. A run *lost* when its NR at 50 is more than 0.01 below that where it would have been
stopped: at most 5 % of all should have. `--suite` takes the problems of `hpobench_suite` instead, `--parallel` has
several trials under way at once.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.quality.develop import references
from benchmarks.quality.fresh import FAMILIES, Fresh, Values
from tunewright.search import Exhausted, Search, Suggestion

Run: TypeAlias = dict[str, object]
See: TypeAlias = Callable[[Values, np.random.Generator], float]

BUDGET = 50
LITTLE = 0.01
LAST = 10


def play(problem: Fresh, seed: int, unit: float, best: float = 0.0, see: See | None = None, parallel: int = 1) -> Run:
    """NR of the incumbent after each trial, and after how many trials a search that stops when it has converged ends.

    Args:
        see: what is seen at a configuration; the problem's own noise around the true value by default.
        parallel: trials under way at once, finished in the order in which they began; they end by themselves too
            when the search has converged.
    """
    search = Search(problem.space, seed=seed)
    noise = np.random.default_rng([seed, 11])
    seen_best, true_best = math.inf, math.inf
    ends: int | None = None
    running: deque[Suggestion] = deque()
    curve: list[float] = []
    while len(curve) < BUDGET:
        while len(running) < min(parallel, BUDGET - len(curve)):
            try:
                suggestion = search.ask()
            except Exhausted:
                break
            if ends is None and search.converged:
                ends = len(curve) + len(running)
            running.append(suggestion)
        if not running:
            break
        suggestion = running.popleft()
        true = problem.true(suggestion.values)
        seen = see(suggestion.values, noise) if see else true + problem.noise * float(noise.standard_normal())
        search.tell(suggestion.number, seen)
        if seen < seen_best:
            seen_best, true_best = seen, true
        curve.append(min(10.0, max(0.0, (true_best - best) / unit)))
    curve += [curve[-1]] * (BUDGET - len(curve))
    return {"problem": problem.name, "seed": seed, "nr": curve, "converged": ends}


def figures(runs: Sequence[Run]) -> dict[str, float]:
    """Shares of runs: stale, stopped of the stale, lost of all; and trials saved of all."""
    stale, stopped, lost, saved = 0, 0, 0, 0
    for run in runs:
        curve, said = np.array(run["nr"]), run["converged"]
        is_stale = curve[-LAST - 1] - curve[-1] < LITTLE
        stale += bool(is_stale)
        if isinstance(said, int):
            stopped += bool(is_stale)
            lost += bool(curve[max(said, 1) - 1] - curve[-1] > LITTLE)
            saved += BUDGET - said
    return {
        "runs": len(runs),
        "stale": stale / len(runs),
        "stopped of stale": stopped / max(1, stale),
        "lost": lost / len(runs),
        "saved": saved / (BUDGET * len(runs)),
    }


def own(families: str, instances: str, seeds: int, parallel: int) -> Iterator[Run]:
    first, last = map(int, instances.split(":"))
    for family in families.split(","):
        for instance in range(first, last):
            problem = FAMILIES[family](instance)
            unit = max(float(references(problem)[0]), 1e-12)
            for seed in range(seeds):
                yield play(problem, seed, unit, parallel=parallel)


def suite(selection: str, seeds: int, parallel: int) -> Iterator[Run]:
    """The suite's problems with their noise, by its own references."""
    from hpobench_suite import problems

    from benchmarks.quality.suite_curves import our_space

    for name in problems.select(selection):
        problem = problems.get(name)
        scale = problem.references["random_best10"] - problem.references["best"]

        def true(values: Values, p: Any = problem) -> float:
            return float(p.true_value(problems.coerce(p.space, values)))

        def see(values: Values, rng: np.random.Generator, p: Any = problem) -> float:
            return float(p.evaluate(problems.coerce(p.space, values), rng=rng))

        fresh = Fresh(name, our_space(problem.space), true)
        for seed in range(seeds):
            yield play(fresh, seed, scale, problem.references["best"], see, parallel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--instances", default="30:32", help="first:last, the last not included")
    parser.add_argument("--suite", help="problems of the suite instead, such as twenty")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    how = given.seeds, given.parallel
    source = suite(given.suite, *how) if given.suite else own(given.families, given.instances, *how)
    runs: list[Run] = []
    for run in source:
        runs.append(run)
        if given.out:
            given.out.write_text("".join(json.dumps(one) + "\n" for one in runs))
    print(json.dumps(figures(runs)))
    for run in runs:
        curve = np.array(run["nr"])
        print(f"{run['problem']!s:24s} {run['seed']} converged {run['converged']} NR {curve[[19, 39, 49]].round(3)}")


if __name__ == "__main__":
    main()
