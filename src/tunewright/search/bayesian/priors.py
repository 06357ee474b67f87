"""What is believed about the model's hyperparameters before there are data.

theta = (log length scale of each group of features, log signal variance, log noise variance). Length scales of
numeric parameters share a common level: log l_j = g + delta_j, with the deviations freed as data arrive, so
that a few trials move all of them together and many tell them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tunewright.search.encode import Cube, Floats, Ints


class Kind(IntEnum):
    """What a group of feature columns stands for."""

    NUMERIC = 0
    CATEGORICAL = 1
    TASK = 2
    """A parent tuning job: 1 on its rows, 0 elsewhere; its length scale is how little the parent tells."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How feature columns form groups with one length scale each.

    Args:
        group: the group of each feature column, shape (F,).
        kinds: `Kind` of each group, shape (g,).
    """

    group: Ints
    kinds: Ints

    @classmethod
    def of(cls, cube: Cube, tasks: int = 0) -> Layout:
        """The layout of a cube's features, followed by one column for each of `tasks` parents."""
        kinds = np.where(cube.is_categorical, Kind.CATEGORICAL, Kind.NUMERIC)
        extra = np.arange(cube.d, cube.d + tasks)
        return cls(np.concatenate([cube.group, extra]), np.concatenate([kinds, np.full(tasks, Kind.TASK)]))

    @property
    def groups(self) -> int:
        return len(self.kinds)


LENGTH_MEAN = math.sqrt(2.0) - 1.0
"""Mean of log l for one parameter; plus half the log of their number (Hvarfner et al. 2024, ICML, eq. 10)."""

LENGTH_SD = 1.2
TASK_MEAN = -0.7
"""Of log l of a parent, whose results and the job's are correlated by a seventh before they show to be more."""
DEVIATION_SD, DEVIATION_GROWTH, DEVIATION_MOST = 0.4, 0.015, 0.75
SIGNAL = (0.0, 1.0)
NOISE = (math.log(1e-3), 2.0)
JITTER = 1e-8


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal distribution over theta, within bounds.

    Args:
        mean, low, high, start: shape (g + 2,); `start` is where a fit begins.
        precision: inverse covariance, shape (g + 2, g + 2).
    """

    mean: Floats
    precision: Floats
    low: Floats
    high: Floats
    start: Floats

    @classmethod
    def of(cls, layout: Layout, n: int) -> Prior:
        """The prior for n observations."""
        g = layout.groups
        parameters = int(np.sum(layout.kinds != Kind.TASK))
        task = layout.kinds == Kind.TASK
        wide = 0.5 * math.log(max(parameters, 1))
        mean = np.full(g + 2, LENGTH_MEAN + wide)
        mean[:g][task] = TASK_MEAN
        mean[g:] = SIGNAL[0], NOISE[0]
        sd = np.full(g + 2, LENGTH_SD)
        sd[:g][task] = 1.0
        sd[g:] = SIGNAL[1], NOISE[1]
        precision = np.diag(1.0 / sd**2)
        tied = np.flatnonzero(layout.kinds == Kind.NUMERIC)
        if len(tied):
            free = DEVIATION_SD + min(DEVIATION_GROWTH * n, DEVIATION_MOST)
            covariance = np.full((len(tied), len(tied)), LENGTH_SD**2) + free**2 * np.eye(len(tied))
            precision[np.ix_(tied, tied)] = np.linalg.inv(covariance)
        low = np.concatenate([np.full(g, math.log(0.02)), [math.log(0.02), math.log(1e-6)]])
        high = np.concatenate([np.full(g, math.log(60.0)), [math.log(50.0), 0.0]])
        start = mean.copy()
        start[:g][~task] = np.minimum(mean[:g][~task], math.log(0.5) + wide)
        return cls(mean, precision, low, high, np.clip(start, low, high))
