"""Whether further trials are unlikely to improve the best by 1 %.

Two signs together: the best has not improved by 1 % for a while, and the model expects no more from the most
promising trial it can find. Without a model the first sign must have lasted for half of all trials. Nothing is
said before 10 + 2 d results.
"""

from __future__ import annotations

import math

import numpy as np

from tunewright.core.completion import IMPROVEMENT
from tunewright.search.arrays import Floats

SMALL = 1e-3
"""Share of the distance from the best to the median that counts as nothing when the best is near 0."""


def patience(d: int) -> int:
    """Finished trials without an improvement that make a search stagnant.

    Others were measured too: at max(10, 3 d) one run in seven would have lost something, at max(22, 5 d) one in
    seventeen; at max(24, 6 d) one in a hundred, and only a quarter of the hopeless ones ended.
    """
    return max(23, math.ceil(5.5 * d))


def stagnant(values: Floats, d: int, *, model: bool) -> bool:
    """Whether the best has not improved by 1 % of its size for long.

    Args:
        values: objectives to minimise in launch order, NaN for failures, shape (n,).
        d: number of parameters.
        model: whether a model gives the second sign.
    """
    finite = values[np.isfinite(values)]
    n = len(finite)
    window = patience(d) if model else max(patience(d), math.ceil(n / 2))
    if n < 10 + 2 * d or n <= window:
        return False
    before, best = float(finite[:-window].min()), float(finite.min())
    return before - best < IMPROVEMENT * max(abs(before), 1e-12)


def hopeless(log_improvement: float, unit: float, values: Floats) -> bool:
    """Whether the expected improvement of the most promising trial is below 1 % of the best.

    Args:
        log_improvement: log of the expected improvement in the model's units.
        unit: the objective's size of one of the model's units.
        values: objectives to minimise, NaN for failures, at least one finite.
    """
    finite = values[np.isfinite(values)]
    best = float(finite.min())
    threshold = max(IMPROVEMENT * abs(best), SMALL * (float(np.median(finite)) - best))
    return math.exp(min(log_improvement, 700.0)) * unit <= threshold
