"""The learning curves of `hpobench_suite` as problems of ours, through the suite's public interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hpobench_suite import problems
from hpobench_suite.space import Categorical, Int

from benchmarks.quality.curves import CurveProblem, Floats
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter


def our_space(space: Any) -> dict[str, Parameter]:
    """A space of the suite in our parameters."""
    made: dict[str, Parameter] = {}
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):
            made[name] = CategoricalParameter(list(parameter.choices))
        else:
            kind = IntegerParameter if isinstance(parameter, Int) else ContinuousParameter
            made[name] = kind(parameter.low, parameter.high, "Logarithmic" if parameter.log else "Linear")
    return made


def suite_curves() -> Iterator[CurveProblem]:
    """Its curve problems."""
    for name in problems.select("curve"):
        yield _adapted(problems.get(name))


def _adapted(problem: Any) -> CurveProblem:
    def seen(values: Any) -> Floats:
        config = problems.coerce(problem.space, values)
        return np.array([problem.evaluate(config, epoch + 1) for epoch in range(problem.max_fidelity)])

    def true(values: Any) -> float:
        return float(problem.true_value(problems.coerce(problem.space, values)))

    reference = problem.references
    unit = reference["random_best10"] - reference["best"]
    return CurveProblem(
        f"suite:{problem.name}", our_space(problem.space), seen, true, reference["best"], problem.max_fidelity, unit
    )
