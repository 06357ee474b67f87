"""No categorical value is forgotten: each keeps getting a share of the trials.

A model that is wrong about a value gathers no evidence against itself, so the model has no say here. With n
trials, a value of a parameter with L values is due while it has at most `share` n / L of them. One trial in three,
and the first ones after the initial design, are given away so, and look for the best of their own value rather than
of all: several poor values share them, and have less. Of a parameter with
a condition only the trials count in which it is active.
"""

from __future__ import annotations

import numpy as np

from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.encode import Cube

SHARE = 0.6
LATER_SHARE = 0.2
EARLY = 50
"""Trials after which the share falls."""

GAP = 3
"""One forced trial in so many."""

BARREN = 2
"""Failures without a success after which a value is tried only when it is due."""

UNSEEN_FIRST = 3
"""For so many trials after the initial design, due values do not wait for the gap."""


def due_level(cube: Cube, rows: Floats, initial: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """The categorical parameter and the value that the next trial must have, or None.

    Args:
        rows: all trials so far in launch order, pending ones included, shape (n, d).
        initial: size of the initial design.
    """
    if not len(cube.categorical) or len(rows) < initial:
        return None
    n = len(rows)
    if n >= initial + UNSEEN_FIRST and (n - initial) % GAP:
        return None
    target = SHARE * min(n, EARLY) + LATER_SHARE * max(0, n - EARLY)
    most, chosen = -1.0, -1
    active = cube.activity.active(rows)
    counts: dict[int, Ints] = {}
    for j in cube.categorical:
        levels = int(cube.levels[j])
        if levels < 2:
            continue
        mine = rows[active[:, j], j].astype(np.int64)
        if not len(mine):
            continue
        counts[int(j)] = np.bincount(mine, minlength=levels)
        deficit = target * len(mine) / n / levels - float(counts[int(j)].min())
        if deficit >= 0 and deficit > most:
            most, chosen = deficit, int(j)
    if chosen < 0:
        return None
    least = np.flatnonzero(counts[chosen] == counts[chosen].min())
    return chosen, int(rng.choice(least))


def barren_levels(cube: Cube, rows: Floats, good: Bools) -> list[tuple[int, int]]:
    """Categorical parameters and those of their values that failed every time, twice at least.

    Args:
        rows: observed trials, shape (n, d).
        good: which of them have an objective, shape (n,).
    """
    if good.all() or not good.any():
        return []
    active = cube.activity.active(rows)
    found = []
    for j in cube.categorical:
        levels = int(cube.levels[j])
        tried = np.bincount(rows[active[:, j], j].astype(np.int64), minlength=levels)
        came = np.bincount(rows[active[:, j] & good, j].astype(np.int64), minlength=levels)
        if came.any():
            found += [(int(j), int(level)) for level in np.flatnonzero((tried >= BARREN) & (came == 0))]
    return found
