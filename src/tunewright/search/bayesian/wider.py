"""Looking wider when the model expects next to nothing.

A model whose trials have gathered in one basin sees little else: half of all results lie there, so its scale is
that of the differences within the basin, and it polishes what needs no polishing. Then the results are looked at
anew with those in a crowd sharing one voice, and if nothing is left to gain there either, with length scales so
short that what lies between the trials is in doubt again. Every other trial is given away so, the others go on
polishing.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist

from tunewright.search.arrays import Floats
from tunewright.search.bayesian.transforms import unit_of

RADIUS = 0.1
"""Trials this close in every coordinate are one crowd."""

LITTLE = 2e-2
"""Expected gain, in units of the spread of crowds, below which every other trial looks wider."""

DONE = 3e-3
"""The same for a look at crowds: below it length scales are shortened."""

SHORTER = 0.35
"""What length scales are multiplied with."""

_SAMPLE = 700


def crowd_weights(rows: Floats) -> Floats:
    """One over the size of the crowd that each row (n, d) is in, itself included: shape (n,).

    Beyond some hundred rows crowds are counted in every so many-th of them.
    """
    step = 1 + (len(rows) - 1) // _SAMPLE
    # Different categorical values are at least 1 apart.
    near = cdist(rows, rows[::step], "chebyshev") <= RADIUS
    near[np.arange(0, len(rows), step), np.arange(near.shape[1])] = False
    return np.asarray(1.0 / (1.0 + step * near.sum(axis=1)))


def expects_little(log_gain: float, values: Floats, weights: Floats) -> bool:
    """Whether a trial may look wider.

    Args:
        log_gain: log of the expected improvement of the best trial in a close look, in the model's units.
        values: objectives to minimise, NaN for failures, shape (n,).
        weights: `crowd_weights` of their rows, shape (n,).
    """
    gain = math.exp(min(log_gain, 700.0)) * unit_of(values)
    return gain < LITTLE * unit_of(values, weights)
