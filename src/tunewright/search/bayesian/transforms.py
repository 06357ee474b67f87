"""What is done to objectives before a model sees them; less is better throughout."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri

from tunewright.search.arrays import Floats

_WORST = 2.0**1000
"""Beyond it nothing is told apart."""

TIES = 2
"""Equal objectives in the better half from which on objectives are taken to come in steps."""

_SAME = 1e-9
"""Objectives that differ by less, in the range of the better half, differ by rounding."""


def half_rank(values: Floats, weights: Floats | None = None) -> Floats:
    """Keep the better half, replace the worse half by normal scores of its ranks.

    A bad value says "not here", and how bad it is beyond that is of no use: it would only flatten what the
    model sees of the good region. The scores are scaled with the root mean square of the better half around
    the median (Song et al. 2024, "The Vizier Gaussian process bandit algorithm", sec. 3).

    Args:
        values: finite numbers, shape (n,), n >= 1.
        weights: how much each counts where halves, ranks and the scale are found, positive, shape (n,).
    """
    weights = np.ones(len(values)) if weights is None else weights
    median = _weighted_median(values, weights)
    good = values <= median
    scale = math.sqrt(np.average(np.square(values[good] - median), weights=weights[good]))
    if scale <= 0.0:
        scale = math.sqrt(np.mean(np.square(values - median))) or 1.0
    distinct, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mass = np.bincount(place, weights) / count
    # A median that is itself an observation counts half on each side.
    worse = mass[distinct > median].sum() + 0.5 * mass[distinct == median].sum()
    beyond = mass[::-1].cumsum()[::-1] - 0.5 * mass
    out = values.copy()
    bad = ~good
    if bad.any():
        quantile = np.clip(0.5 * beyond[place[bad]] / worse, 1e-6, 0.5)
        out[bad] = median - scale * ndtri(quantile)
    return out


def _weighted_median(values: Floats, weights: Floats) -> float:
    """Where half of the weight is on either side, between observations by interpolation."""
    order = np.argsort(values, kind="stable")
    before = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(0.5 * weights.sum(), before, values[order]))


def standardise(values: Floats) -> Floats:
    """Zero mean, unit standard deviation; zeros when all are equal."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))


def model_targets(values: Floats, weights: Floats | None = None) -> Floats:
    """What the model is fitted to, shape (n,): half-ranked, standardised, failures as bad as the worst success.

    Args:
        values: objectives to minimise, NaN for failed and diverged trials, at least one finite.
        weights: how much each counts in the transform, shape (n,); all the same by default.
    """
    good = np.isfinite(values)
    finite, _ = _tame(values[good])
    targets = np.empty(len(values))
    if len(finite) < 2 or np.ptp(finite) <= 0:
        targets[good] = 0.0
        targets[~good] = 1.0
        return standardise(targets)
    share = np.ones(len(finite)) if weights is None else weights[good]
    targets[good] = standardise(half_rank(_scaled(finite, share)[0], share))
    targets[~good] = targets[good].max()
    return targets


def _tame(values: Floats) -> tuple[Floats, float]:
    """Values whose differences do not overflow, and what they were divided by."""
    factor = 16.0 if len(values) and float(np.abs(values).max()) > _WORST else 1.0
    return values / factor, factor


def _scaled(values: Floats, weights: Floats) -> tuple[Floats, float]:
    """Values over a power of two near the largest of the better half and the median, and that power.

    Squares are neither infinite nor lost, and every digit stays as it is: how bad a bad value is changes nothing
    that is proposed, not even by rounding. What is worse than can be said on this scale is as bad as can be.
    """
    median = _weighted_median(values, weights)
    better = np.append(values[values <= median], median)
    among = better if np.ptp(better) > 0 else values
    scale = math.ldexp(1.0, min(math.frexp(float(np.abs(among).max()))[1], 1023))
    with np.errstate(over="ignore"):
        return np.minimum(values / scale, _WORST), scale


def unit_of(values: Floats, weights: Floats | None = None) -> float:
    """How much of the objective one unit of `model_targets` is, in the better half (which is only scaled)."""
    good = np.isfinite(values)
    finite, factor = _tame(values[good])
    if len(finite) < 2:
        return 0.0
    share = np.ones(len(finite)) if weights is None else weights[good]
    scaled, scale = _scaled(finite, share)
    return factor * scale * float(half_rank(scaled, share).std())


def step_of(targets: Floats) -> float:
    """The least step between targets where objectives come in steps; 0 where they do not.

    An error rate on a hundred examples is a multiple of a hundredth: what is better than the best is better by that.

    Args:
        targets: of successes, shape (n,).
    """
    ordered = np.sort(targets)
    best = int(np.searchsorted(ordered, ordered[0], side="right")) if len(ordered) else 0
    gaps = np.diff(ordered[: max((len(ordered) + 1) // 2, best + 1)])
    steps = gaps[gaps > _SAME * gaps.sum()]
    if not len(steps) or len(gaps) - len(steps) < TIES:
        return 0.0
    return float(steps.min())
