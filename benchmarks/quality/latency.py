"""Seconds of a suggestion by the number of results: `python -m benchmarks.quality.latency --sizes 50,1000`.

Two spaces (6 continuous; 4 logarithmic, 3 integer and 3 categorical parameters), Bayesian and Random, after n
random results; ten suggestions each, told in between. Pin a core and set OMP_NUM_THREADS=1 for figures that
can be compared.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Mapping

from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Value
from tunewright.search import Search

SPACES: dict[str, dict[str, Parameter]] = {
    "6 continuous": {f"x{i}": ContinuousParameter(0.0, 1.0) for i in range(6)},
    "4 log, 3 integer, 3 categorical": {
        **{f"x{i}": ContinuousParameter(1e-5, 1.0, "Logarithmic") for i in range(4)},
        **{f"n{i}": IntegerParameter(1, 50) for i in range(3)},
        **{f"k{i}": CategoricalParameter(["a", "b", "c"]) for i in range(3)},
    },
}


def bowl(values: Mapping[str, Value]) -> float:
    return sum(0.3 * (v == "a") if isinstance(v, str) else math.atan(float(v) - 0.3) ** 2 for v in values.values())


def measure(space: Mapping[str, Parameter], strategy: str, size: int, asks: int = 10) -> list[float]:
    """Seconds of each of some suggestions after `size` results."""
    search, drawn = Search(space, strategy=strategy), Search(space, strategy="Random", seed=1)
    for _ in range(size):
        values = drawn.ask().values
        search.add(values, bowl(values))
    seconds = []
    search.tell(search.ask().number, 1.0)
    for _ in range(asks):
        started = time.perf_counter()
        suggestion = search.ask()
        seconds.append(time.perf_counter() - started)
        search.tell(suggestion.number, bowl(suggestion.values))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="50,90,110,200,500,1000,2000,10000")
    given = parser.parse_args()
    for strategy in ("Bayesian", "Random"):
        for name, space in SPACES.items():
            for size in map(int, given.sizes.split(",")):
                ms = [1000 * s for s in measure(space, strategy, size)]
                row = {"strategy": strategy, "space": name, "n": size}
                print(json.dumps({**row, "median_ms": round(statistics.median(ms), 2), "max_ms": round(max(ms), 2)}))


if __name__ == "__main__":
    main()
