"""What is done to objectives before a model sees them; less is better throughout."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from tunewright.search.encode import Floats


def half_rank(values: Floats) -> Floats:
    """Keep the better half, replace the worse half by normal scores of its ranks.

    A bad value says "not here", and how bad it is beyond that is of no use: it would only flatten what the
    model sees of the good region. The scores are scaled with the root mean square of the better half around
    the median (Song et al. 2024, "The Vizier Gaussian process bandit algorithm", sec. 3).

    Args:
        values: finite numbers, shape (n,), n >= 1.
    """
    median = float(np.median(values))
    good = values[values <= median]
    scale = float(np.sqrt(np.mean(np.square(good - median))))
    if scale <= 0.0:
        scale = float(np.sqrt(np.mean(np.square(values - median)))) or 1.0
    distinct, place = np.unique(values, return_inverse=True)
    first = int(np.searchsorted(distinct, median))
    # A median that is itself an observation counts half on each side.
    tied = first < len(distinct) and distinct[first] == median
    worse = len(distinct) - first - (0.5 if tied else 0.0)
    out = values.copy()
    bad = values > median
    if bad.any():
        from_worst = len(distinct) - place[bad]
        quantile = np.clip(0.5 * (from_worst - 0.5) / worse, 1e-6, 0.5)
        out[bad] = median - scale * ndtri(quantile)
    return out


def standardise(values: Floats) -> Floats:
    """Zero mean, unit standard deviation; zeros when all are equal."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))


def model_targets(values: Floats) -> Floats:
    """What the model is fitted to, shape (n,): half-ranked, standardised, failures as bad as the worst success.

    Args:
        values: objectives to minimise, NaN for failed and diverged trials, at least one finite.
    """
    good = np.isfinite(values)
    finite = values[good]
    # Scaling first keeps squares of huge values finite.
    largest = float(np.abs(finite).max())
    finite = finite / largest if largest > 0 else finite
    targets = np.empty(len(values))
    if len(finite) < 2 or np.ptp(finite) <= 0:
        targets[good] = 0.0
        targets[~good] = 1.0
        return standardise(targets)
    targets[good] = standardise(half_rank(finite))
    targets[~good] = targets[good].max()
    return targets


def unit_of(values: Floats) -> float:
    """How much of the objective one unit of `model_targets` is, in the better half (which is only scaled)."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return 0.0
    largest = float(np.abs(finite).max()) or 1.0
    return largest * float(half_rank(finite / largest).std())
