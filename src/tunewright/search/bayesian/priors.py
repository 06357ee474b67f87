"""What is believed about the model's hyperparameters before there are data.

theta = (log length scale of each group of features, log signal variance, log noise variance, log variance of the
weight of each basis function). Length scales of numeric parameters share a common level: log l_j = g + delta_j,
with the deviations freed as data arrive, so that a few trials move all of them together and many tell them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tunewright.search.arrays import Floats, Ints
from tunewright.search.encode import Cube


class Kind(IntEnum):
    """What a group of feature columns stands for."""

    NUMERIC = 0
    CATEGORICAL = 1
    EPOCH = 2
    """How far a training came (`ladder`); its length scale is how little an early value tells."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How feature columns form groups with one length scale each.

    Args:
        group: the group of each feature column, shape (F,).
        kinds: `Kind` of each group, shape (g,).
        basis: number of basis functions.
    """

    group: Ints
    kinds: Ints
    basis: int = 0

    @classmethod
    def of(cls, cube: Cube, *, epoch: bool = False, basis: int = 0) -> Layout:
        """The layout of a cube's features, followed by a column for the epoch if there is one."""
        kinds = np.where(cube.is_categorical, Kind.CATEGORICAL, Kind.NUMERIC)
        extra = np.arange(cube.d, cube.d + epoch)
        return cls(np.concatenate([cube.group, extra]), np.concatenate([kinds, np.full(len(extra), Kind.EPOCH)]), basis)

    @property
    def groups(self) -> int:
        return len(self.kinds)


LENGTH_MEAN = math.sqrt(2.0) - 1.0
"""Mean of log l for one parameter; plus half the log of their number (Hvarfner et al. 2024, ICML, eq. 10)."""

LENGTH_SD = 1.2
EPOCH_MEAN = -0.7
"""Of log l of the epoch: the first epoch and the last are correlated by a seventh before they show to be more."""
DEVIATION_SD, DEVIATION_GROWTH, DEVIATION_MOST = 0.4, 0.015, 0.75
SIGNAL = (0.0, 1.0)
NOISE = (math.log(1e-3), 2.0)
WEIGHT = (math.log(0.1), 1.5)
"""Of the log variance of a basis function's weight."""
JITTER = 1e-8


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal distribution over theta, within bounds.

    Args:
        mean, low, high, start: shape (g + 2 + b,), b basis functions; `start` is where a fit begins.
        precision: inverse covariance, shape (g + 2 + b, g + 2 + b).
    """

    mean: Floats
    precision: Floats
    low: Floats
    high: Floats
    start: Floats

    @classmethod
    def of(cls, layout: Layout, n: int, lengths: Floats | None = None) -> Prior:
        """The prior for n observations.

        Args:
            lengths: means of the log length scales, shape (g,), where other data have shown them; None: the usual ones.
        """
        g, b = layout.groups, layout.basis
        epoch = layout.kinds == Kind.EPOCH
        wide = 0.5 * math.log(max(int(np.sum(~epoch)), 1))
        usual, deviations = np.full(g, LENGTH_MEAN + wide), np.full(g, LENGTH_SD)
        usual[epoch], deviations[epoch] = EPOCH_MEAN, 1.0
        mean = np.concatenate([usual if lengths is None else lengths, [SIGNAL[0], NOISE[0]], np.full(b, WEIGHT[0])])
        sd = np.concatenate([deviations, [SIGNAL[1], NOISE[1]], np.full(b, WEIGHT[1])])
        precision = np.diag(1.0 / sd**2)
        tied = np.flatnonzero(layout.kinds == Kind.NUMERIC)
        if len(tied):
            free = DEVIATION_SD + min(DEVIATION_GROWTH * n, DEVIATION_MOST)
            covariance = np.full((len(tied), len(tied)), LENGTH_SD**2) + free**2 * np.eye(len(tied))
            precision[np.ix_(tied, tied)] = np.linalg.inv(covariance)
        low = np.concatenate([np.full(g, math.log(0.02)), [math.log(0.02), math.log(1e-6)], np.full(b, math.log(1e-4))])
        high = np.concatenate([np.full(g, math.log(60.0)), [math.log(50.0), 0.0], np.full(b, math.log(10.0))])
        start = mean.copy()
        if lengths is None:
            start[:g][~epoch] = np.minimum(usual[~epoch], math.log(0.5) + wide)
        return cls(mean, precision, low, high, np.clip(start, low, high))
