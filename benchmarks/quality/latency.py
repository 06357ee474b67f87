"""Seconds of a suggestion by the number of results: `python -m benchmarks.quality.latency --sizes 50,1000`.

Three spaces (6 continuous; 4 logarithmic, 3 integer and 3 categorical parameters; 15 logarithmic and 15 categorical
ones of 30 values), Bayesian and Random, after n random results; ten suggestions each, told in between. With
`--optuna` Optuna's GPSampler (optuna and torch must be there) takes turns with Bayesian on the same results: the
ratio of both in one run is what can be compared. Pin a core and set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.quality.rivals import distribution
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Value
from tunewright.search import Search

SPACES: dict[str, dict[str, Parameter]] = {
    "6 continuous": {f"x{i}": ContinuousParameter(0.0, 1.0) for i in range(6)},
    "4 log, 3 integer, 3 categorical": {
        **{f"x{i}": ContinuousParameter(1e-5, 1.0, "Logarithmic") for i in range(4)},
        **{f"n{i}": IntegerParameter(1, 50) for i in range(3)},
        **{f"k{i}": CategoricalParameter(["a", "b", "c"]) for i in range(3)},
    },
    "15 log, 15 categorical of 30": {
        **{f"x{i}": ContinuousParameter(1e-5, 1.0, "Logarithmic") for i in range(15)},
        **{f"k{i}": CategoricalParameter([f"a{j}" if j else "a" for j in range(30)]) for i in range(15)},
    },
}

SUMMARIES: dict[str, Callable[[list[float]], float]] = {
    "median": statistics.median,
    "mean": statistics.fmean,
    "max": max,
}


def bowl(values: Mapping[str, Value]) -> float:
    return sum(0.3 * (v == "a") if isinstance(v, str) else math.atan(float(v) - 0.3) ** 2 for v in values.values())


class Ours:
    """A search of our own after some results."""

    def __init__(self, space: Mapping[str, Parameter], strategy: str, results: Sequence[Mapping[str, Value]]) -> None:
        self._search = Search(space, strategy=strategy)
        for values in results:
            self._search.add(values, bowl(values))

    def seconds(self) -> float:
        """The time of one suggestion, which is told of afterwards."""
        started = time.perf_counter()
        suggestion = self._search.ask()
        seconds = time.perf_counter() - started
        self._search.tell(suggestion.number, bowl(suggestion.values))
        return seconds


class Optuna:
    """Optuna's Gaussian process sampler after the same results."""

    def __init__(self, space: Mapping[str, Parameter], results: Sequence[Mapping[str, Value]]) -> None:
        import optuna
        import torch

        torch.set_num_threads(1)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = {name: distribution(parameter) for name, parameter in space.items()}
        self._study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=0))
        self._study.add_trials(
            [optuna.trial.create_trial(params=dict(r), distributions=self._space, value=bowl(r)) for r in results]
        )

    def seconds(self) -> float:
        """The time of one suggestion, which is told of afterwards."""
        started = time.perf_counter()
        trial = self._study.ask(self._space)
        seconds = time.perf_counter() - started
        self._study.tell(trial, bowl(trial.params))
        return seconds


def drawn(space: Mapping[str, Parameter], size: int) -> list[Mapping[str, Value]]:
    """Random configurations."""
    search = Search(space, strategy="Random", seed=1)
    return [search.ask().values for _ in range(size)]


def measure(space: Mapping[str, Parameter], size: int, asks: int, *, optuna: bool) -> dict[str, list[float]]:
    """Seconds of each of some suggestions after `size` results, of all that is compared in turns."""
    results = drawn(space, size)
    rivals: dict[str, Ours | Optuna] = {name: Ours(space, name, results) for name in ("Bayesian", "Random")}
    if optuna:
        rivals["Optuna GPSampler"] = Optuna(space, results)
    for rival in rivals.values():
        rival.seconds()
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(asks):
        for name, rival in rivals.items():
            taken[name].append(rival.seconds())
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="50,90,110,200,500,1000,2000,10000")
    parser.add_argument("--spaces", default=",".join(str(i) for i in range(len(SPACES))), help="numbers, from 0")
    parser.add_argument("--asks", type=int, default=10)
    parser.add_argument("--optuna", action="store_true")
    given = parser.parse_args()
    chosen = [list(SPACES)[int(i)] for i in given.spaces.split(",")]
    for name, size in itertools.product(chosen, map(int, given.sizes.split(","))):
        taken = measure(SPACES[name], size, given.asks, optuna=given.optuna)
        for strategy, seconds in taken.items():
            row: dict[str, object] = {"strategy": strategy, "space": name, "n": size}
            for what, of in SUMMARIES.items():
                row[f"{what}_ms"] = round(1000 * of(seconds), 2)
                row[f"{what}_over_bayesian"] = round(of(seconds) / of(taken["Bayesian"]), 3)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
