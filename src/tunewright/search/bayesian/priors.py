"""What is believed about the model's hyperparameters before there are data.

theta = (log length scale of each group of features, log signal variance, log noise variance, log variance of the
weight of each basis function, coupling of each pair of numeric features). Length scales of numeric parameters share
a common level: log l_j = g + delta_j, with the deviations freed as data arrive, so that a few trials move all of them
together and many tell them apart.
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
        coupled: whether distances are measured along directions between the numeric axes too.
    """

    group: Ints
    kinds: Ints
    basis: int = 0
    coupled: bool = False

    @classmethod
    def of(cls, cube: Cube, *, epoch: bool = False, basis: int = 0, coupled: bool = False) -> Layout:
        """The layout of a cube's features, followed by a column for the epoch if there is one."""
        kinds = np.where(cube.is_categorical, Kind.CATEGORICAL, Kind.NUMERIC)
        extra = np.arange(cube.d, cube.d + epoch)
        group, kinds = np.concatenate([cube.group, extra]), np.concatenate([kinds, np.full(len(extra), Kind.EPOCH)])
        return cls(group, kinds, basis, coupled)

    @property
    def groups(self) -> int:
        return len(self.kinds)

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """The coupled feature columns, i before j, shape (p,) both; empty when none are."""
        numeric = np.flatnonzero(self.kinds[self.group] == Kind.NUMERIC)
        i, j = np.triu_indices(len(numeric) if self.coupled else 0, 1)
        return numeric[i], numeric[j]

    @property
    def weights(self) -> slice:
        """Where theta has the variances of the weights of basis functions."""
        return slice(self.groups + 2, self.groups + 2 + self.basis)

    @property
    def couplings(self) -> slice:
        """Where theta has the couplings."""
        return slice(self.groups + 2 + self.basis, None)

    def mixing(self, theta: Floats) -> Floats:
        """I + C, by which features over their length scales are multiplied: shape (F, F).

        C is symmetric and has the couplings beside its diagonal, so that distances are sqrt(x' L (I + C)^2 L x) with
        L the inverse length scales: a full metric (Rasmussen and Williams 2006, sec. 5.1).
        """
        mixing, (i, j) = np.eye(len(self.group)), self.pairs
        mixing[i, j] = mixing[j, i] = theta[self.couplings]
        return mixing


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
COUPLING_SD, COUPLING_MOST = 0.5, 3.0
"""Of a coupling where there are two numeric features; with d of them over sqrt(d - 1), so that I + C stays positive."""
JITTER = 1e-8


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal distribution over theta, within bounds.

    Args:
        mean, low, high, start: shape (t,), t = g + 2 + b + p with b basis functions and p couplings; `start` is where
            a fit begins.
        precision: inverse covariance, shape (t, t).
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
        g, b, p = layout.groups, layout.basis, len(layout.pairs[0])
        epoch, tied = layout.kinds == Kind.EPOCH, np.flatnonzero(layout.kinds == Kind.NUMERIC)
        wide = 0.5 * math.log(max(int(np.sum(~epoch)), 1))
        usual, deviations = np.full(g, LENGTH_MEAN + wide), np.full(g, LENGTH_SD)
        usual[epoch], deviations[epoch] = EPOCH_MEAN, 1.0
        expected = usual if lengths is None else lengths
        mean = np.concatenate([expected, [SIGNAL[0], NOISE[0]], np.full(b, WEIGHT[0]), np.zeros(p)])
        coupling = COUPLING_SD / math.sqrt(max(len(tied) - 1, 1))
        sd = np.concatenate([deviations, [SIGNAL[1], NOISE[1]], np.full(b, WEIGHT[1]), np.full(p, coupling)])
        counts = [g, 1, 1, b, p]
        low = np.repeat([*np.log([0.02, 0.02, 1e-6, 1e-4]), -COUPLING_MOST], counts)
        high = np.repeat([*np.log([60.0, 50.0, 1.0, 10.0]), COUPLING_MOST], counts)
        precision = np.diag(1.0 / sd**2)
        if len(tied):
            free = DEVIATION_SD + min(DEVIATION_GROWTH * n, DEVIATION_MOST)
            covariance = np.full((len(tied), len(tied)), LENGTH_SD**2) + free**2 * np.eye(len(tied))
            precision[np.ix_(tied, tied)] = np.linalg.inv(covariance)
        start = mean.copy()
        if lengths is None:
            start[:g][~epoch] = np.minimum(usual[~epoch], math.log(0.5) + wide)
        return cls(mean, precision, low, high, np.clip(start, low, high))
