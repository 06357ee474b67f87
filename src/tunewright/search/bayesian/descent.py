"""Minimising a smooth function within bounds (L-BFGS-B, Byrd et al. 1995)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import Bounds, minimize

from tunewright.search.arrays import Floats


def descend(
    loss: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    bounds: tuple[Floats, Floats],
    *,
    iterations: int,
    tolerances: tuple[float, float],
) -> Floats:
    """The point that descent from `start` reaches.

    Args:
        loss: value and gradient at a point.
        bounds: least and greatest coordinates, shape (t,) each.
        tolerances: relative decrease of the loss, and largest projected slope, at which to stop.
    """
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(*bounds),
        options={"maxiter": iterations, "ftol": tolerances[0], "gtol": tolerances[1], "maxcor": 12},
    )
    return np.asarray(found.x, dtype=np.float64)
