"""Warm start measured: `python -m benchmarks.quality.transfer --out FILE`.

A family has several data sets: the same parameters matter in the same way, but the best values move, values have
another scale, and a part is each data set's own. The job runs on the first data set, its parents ran on others.

    cold       no parents
    related    three parents on sibling data sets, 40 random training jobs each
    five       five such parents
    hostile    the related parents with every objective negated
    mixed      two related parents and a hostile one
    unrelated  three parents of another instance, which share the parameters and nothing else
    ranges     IdenticalDataAndAlgorithm: one parent on the same data set whose ranges were moved by a third

NR is regret over that of the median best of ten random trials. Every row is paired with the cold run of the same
problem and seed: the ratio of mean NR at 20, and the share of the 20 evaluations after which the warm run is
as good as the cold one at its end (the median over runs; 1 when it never is), and after which mean NR is.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.quality.develop import references
from benchmarks.quality.fresh import Fresh
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Space, Value
from tunewright.search import Search
from tunewright.search.encode import Cube

Values: TypeAlias = Mapping[str, Value]
Results: TypeAlias = list[tuple[dict[str, Value], float]]
Run: TypeAlias = dict[str, object]

BUDGET = 20
PARENT_TRIALS = 40
SCENARIOS = ("cold", "related", "five", "hostile", "mixed", "unrelated", "ranges")
KINDS = ("one", "two", "three")


@dataclass(frozen=True, slots=True)
class Family:
    """What the data sets of a family share: where the best values lie, and what each parameter weighs."""

    name: str
    instance: int
    ripple: float
    spread: float

    def data_set(self, number: int, moved: float = 0.0) -> Fresh:
        """A data set; its numeric ranges are moved by this share of their width."""
        shared = np.random.default_rng([41, self.instance, len(self.name)])
        centre, weight = shared.uniform(0.2, 0.8, 4), np.exp(shared.uniform(-1.5, 1.0, 4))
        kinds, turn = shared.uniform(0.05, 0.5, 3), shared.uniform(-0.3, 0.3, 3)
        kinds[int(shared.integers(3))] = 0.0
        own = np.random.default_rng([42, self.instance, number])
        centre = centre + self.spread * own.standard_normal(4)
        kinds = kinds * np.exp(2 * self.spread * own.standard_normal(3))
        scale, waves = math.exp(own.uniform(-2, 3)), own.uniform(3, 9, 4)
        space: dict[str, Parameter] = {
            "rate": ContinuousParameter(10 ** (-5 + 4 * moved), 10 ** (-1 + 4 * moved), "Logarithmic"),
            "decay": ContinuousParameter(10 ** (-6 + 5 * moved), 10 ** (-1 + 5 * moved), "Logarithmic"),
            "drop": ContinuousParameter(0.0 + 0.6 * moved, 0.6 + 0.6 * moved, "Linear"),
            "units": IntegerParameter(8 + int(256 * moved), 256 + int(256 * moved), "Linear"),
            "kind": CategoricalParameter(list(KINDS)),
        }

        def true(v: Values) -> float:
            place = np.array(
                [
                    (math.log10(float(v["rate"])) + 5) / 4,
                    (math.log10(float(v["decay"])) + 6) / 5,
                    float(v["drop"]) / 0.6,
                    (float(v["units"]) - 8) / 248,
                ]
            )
            kind = KINDS.index(str(v["kind"]))
            away = place - centre
            away[0] -= turn[kind]
            bowl = float(weight @ away**2 + self.ripple * (1 - np.cos(waves * away)).sum())
            return float(scale * (1 - math.exp(-bowl) + kinds[kind]))

        return Fresh(f"{self.name}-{self.instance}", space, true)


def families(instances: Sequence[int]) -> list[Family]:
    """Smooth and rough ones, whose data sets differ a little and much."""
    kinds = (("near", 0.0, 0.05), ("rough", 0.06, 0.05), ("far", 0.02, 0.12))
    return [Family(name, instance, ripple, spread) for name, ripple, spread in kinds for instance in instances]


def random_results(problem: Fresh, count: int, seed: int, sign: float = 1.0) -> Results:
    """What a parent with random configurations has seen."""
    cube = Cube(Space(dict(problem.space)))
    points = [cube.decode(row) for row in cube.draw(np.random.default_rng([43, seed]).random((count, cube.d)))]
    return [(point, sign * problem.true(point)) for point in points]


def parents_of(family: Family, scenario: str, seed: int) -> list[Results]:
    """The results of the parents in a scenario."""

    def siblings(signs: Sequence[int], of: Family = family) -> list[Results]:
        return [
            random_results(of.data_set(number), PARENT_TRIALS, 100 * seed + number, sign)
            for number, sign in enumerate(signs, start=1)
        ]

    stranger = Family(family.name, family.instance + 500, family.ripple, family.spread)
    made: dict[str, Callable[[], list[Results]]] = {
        "cold": lambda: [],
        "related": lambda: siblings([1, 1, 1]),
        "five": lambda: siblings([1, 1, 1, 1, 1]),
        "hostile": lambda: siblings([-1, -1, -1]),
        "mixed": lambda: siblings([1, -1, 1]),
        "unrelated": lambda: siblings([1, 1, 1], stranger),
        "ranges": lambda: [random_results(family.data_set(0, moved=1 / 3), PARENT_TRIALS, 100 * seed)],
    }
    return made[scenario]()


def play(family: Family, scenario: str, seed: int, budget: int = BUDGET) -> list[float]:
    """NR of the best after each evaluation."""
    problem = family.data_set(0)
    kind = "IdenticalDataAndAlgorithm" if scenario == "ranges" else "TransferLearning"
    search = Search(problem.space, seed=seed, parents=parents_of(family, scenario, seed), warm_start_type=kind)
    values = []
    for _ in range(budget):
        suggestion = search.ask()
        values.append(problem.true(suggestion.values))
        search.tell(suggestion.number, values[-1])
    return list(np.minimum.accumulate(values))


def measure(family: Family, scenarios: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Runs of one family; the least value that any of them found stands for the optimum."""
    reference = references(family.data_set(0))
    curves = {(name, seed): play(family, name, seed) for name in scenarios for seed in seeds}
    best = min(min(curve) for curve in curves.values())
    unit = max(float(reference[0]) - best, 1e-12)
    return [
        {"family": family.name, "instance": family.instance, "scenario": name, "seed": seed}
        | {"nr": [(value - best) / unit for value in curve]}
        for (name, seed), curve in curves.items()
    ]


def figures(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """By scenario: mean NR at 5, 10 and 20, its ratio to the cold one at 20, and the share of evaluations needed."""
    curve = {(r["family"], r["instance"], r["seed"], r["scenario"]): np.array(r["nr"]) for r in runs}
    made: dict[str, dict[str, float]] = {}
    for scenario in dict.fromkeys(str(run["scenario"]) for run in runs):
        cells = [key[:3] for key in curve if key[3] == scenario]
        warm = np.array([curve[(*cell, scenario)] for cell in cells])
        cold = np.array([curve[(*cell, "cold")] for cell in cells])
        reached = warm <= cold[:, -1:] + 1e-12
        first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, BUDGET)
        row = {f"NR{n}": float(warm[:, n - 1].mean()) for n in (5, 10, BUDGET)}
        ratio = row[f"NR{BUDGET}"] / float(cold[:, -1].mean())
        enough = np.append(warm.mean(axis=0)[:-1] <= cold[:, -1].mean() + 1e-12, True)
        needed = {"needed": float(np.median(first)) / BUDGET, "by means": float(enough.argmax() + 1) / BUDGET}
        made[scenario] = {"n": len(cells), **row, "over cold": ratio, **needed}
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--instances", default="0:3", help="first:last, the last not included")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    first, last = map(int, given.instances.split(":"))
    scenarios = list(dict.fromkeys(["cold", *given.scenarios.split(",")]))
    runs: list[Run] = []
    for family in families(range(first, last)):
        runs += measure(family, scenarios, range(given.seeds))
        if given.out:
            given.out.write_text("".join(json.dumps(run) + "\n" for run in runs))
    for name, row in figures(runs).items():
        print(f"{name:10s} " + "  ".join(f"{key} {value:.3g}" for key, value in row.items()))


if __name__ == "__main__":
    main()
