"""The first trials, before there is anything to learn from."""

from __future__ import annotations

import numpy as np

from tunewright.search.arrays import Floats
from tunewright.search.encode import Cube

_DESIGNS = 32
_CANDIDATES = 64
_SALT = 2_000_003


def initial_size(d: int) -> int:
    """How many trials come before the model: one more than parameters, at least 5, at most 8."""
    return min(max(d + 1, 5), 8)


def initial_rows(cube: Cube, seed: int) -> Floats:
    """The centre, then a Latin hypercube: of several random ones that with the largest least distance.

    Returns:
        Rows, shape (initial_size(d), d). In finite spaces some may be equal.
    """
    rng = np.random.default_rng([seed, _SALT])
    size = initial_size(cube.d) - 1
    centre = cube.centre()[None]
    best, spread = centre, -1.0
    for _ in range(_DESIGNS):
        strata = np.argsort(rng.random((cube.d, size)), axis=1).T
        rows = np.vstack([centre, cube.draw((strata + rng.random((size, cube.d))) / size)])
        distance = float(distances(cube, rows, rows)[np.triu_indices(size + 1, 1)].min())
        if distance > spread:
            best, spread = rows, distance
    return best


def far_row(cube: Cube, rows: Floats, seed: int, number: int) -> Floats:
    """Of some random rows that farthest from all of `rows` (n, d): where nothing is known yet."""
    rng = np.random.default_rng([seed, number, _SALT])
    candidates = cube.draw(rng.random((_CANDIDATES, cube.d)))
    lawful = cube.allowed(candidates)
    candidates = candidates[lawful] if lawful.any() else candidates
    if not len(rows):
        return np.asarray(candidates[0])
    return np.asarray(candidates[int(distances(cube, candidates, rows).min(axis=1).argmax())])


def distances(cube: Cube, one: Floats, other: Floats) -> Floats:
    """Squared distances of rows, two different categorical values being 1 apart: shape (n, m)."""
    return np.asarray(np.square(cube.gaps(one[:, None, :], other[None, :, :])).sum(axis=2))
