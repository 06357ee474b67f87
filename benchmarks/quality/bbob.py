"""BBOB's functions (coco-experiment must be there): 24 for each instance."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.quality.fresh import Fresh, Values
from tunewright.core.space import ContinuousParameter, Parameter

DIMENSIONS = {"bbob": (2, 5), "bbob20": (20,)}
"""By the names of families: the dimensions that functions have by turns."""

FUNCTIONS = 24
_MOST = 1e15


@lru_cache(maxsize=1)
def _suite() -> Any:
    import cocoex

    return cocoex.Suite("bbob", "instances: 1-200", "")


def functions(family: str, instance: int) -> Iterator[Fresh]:
    """All functions of one of BBOB's instances 1 to 200, each less its least value."""
    dimensions = DIMENSIONS[family]
    for function in range(1, FUNCTIONS + 1):
        d = dimensions[(function + instance) % len(dimensions)]
        yield _problem(function, d, instance)


def _problem(function: int, d: int, instance: int) -> Fresh:
    one = _suite().get_problem_by_function_dimension_instance(function, d, instance)
    least = float(one(_best(one)))
    space: dict[str, Parameter] = {f"x{j}": ContinuousParameter(-5.0, 5.0, "Linear") for j in range(d)}

    def value(values: Values) -> float:
        return max(float(one([float(values[name]) for name in space])) - least, 0.0)

    return Fresh(f"bbob-f{function:02d}-d{d}-i{instance}", space, value, worst=_MOST)


def _best(one: Any) -> Any:
    """Where a function is least, which coco tells by a file in the working directory."""
    with tempfile.TemporaryDirectory() as place, chdir(place):
        one._best_parameter("print")  # noqa: SLF001 - coco has no other word for it
        return np.loadtxt(os.path.join(place, "._bbob_problem_best_parameter.txt"))
