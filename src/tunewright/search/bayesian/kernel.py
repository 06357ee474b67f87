"""The covariance: Matern over scaled features, of one of two smoothnesses (Rasmussen and Williams 2006, eq. 4.17)."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np

from tunewright.search.arrays import Floats

_ROOT3, _ROOT5 = math.sqrt(3.0), math.sqrt(5.0)
_MANY_COLUMNS = 100
"""From so many on it pays to look which of them are in use."""


class Matern(Enum):
    """How smooth the objective is taken to be: how often its model has a derivative."""

    THREE_HALVES = 1.5
    """Once: rough surfaces, accuracies of small data sets."""
    FIVE_HALVES = 2.5
    """Twice: most trainings."""


def squared_distances(one: Floats, other: Floats | None = None) -> Floats:
    """Squared Euclidean distances between the lines of `one` (n, F) and `other` (m, F): shape (n, m)."""
    if other is None:
        norms = np.einsum("ij,ij->i", one, one)
        r2 = one @ one.T
        r2 *= -2.0
        r2 += norms[:, None]
        r2 += norms
        np.maximum(r2, 0.0, out=r2)
        r2.flat[:: len(one) + 1] = 0.0
        return r2
    r2 = _product(one, other)
    r2 *= -2.0
    r2 += np.einsum("ij,ij->i", one, one)[:, None]
    r2 += np.einsum("ij,ij->i", other, other)
    return np.maximum(r2, 0.0, out=r2)


def _product(one: Floats, other: Floats) -> Floats:
    """one @ other.T; where there are many columns, of which few have values in `one`, by these alone."""
    if one.shape[1] > _MANY_COLUMNS:
        used = np.flatnonzero(one.any(axis=0))
        if 2 * len(used) < one.shape[1]:
            one, other = one[:, used], other[:, used]
    return np.asarray(one @ other.T)


def covariance(r2: Floats, signal: float, matern: Matern) -> Floats:
    """The covariance at squared distances r2.

    With a = sqrt(3) r it is signal (1 + a) exp(-a), with a = sqrt(5) r signal (1 + a + a^2 / 3) exp(-a).
    """
    a = np.sqrt(r2)
    a *= _ROOT3 if matern is Matern.THREE_HALVES else _ROOT5
    k = np.exp(-a)
    k *= _polynomial(a, matern)
    k *= signal
    return k


def covariance_and_slope(r2: Floats, signal: float, matern: Matern) -> tuple[Floats, Floats]:
    """The covariance and its derivative by the squared distance.

    The derivative is -3/2 signal exp(-a) for the rougher, -5/6 signal (1 + a) exp(-a) for the smoother one.
    """
    a = np.sqrt(r2)
    a *= _ROOT3 if matern is Matern.THREE_HALVES else _ROOT5
    slope = np.exp(-a)
    k = _polynomial(a, matern)
    k *= slope
    k *= signal
    if matern is Matern.THREE_HALVES:
        slope *= -1.5 * signal
    else:
        a += 1.0
        a *= -5.0 / 6.0 * signal
        slope *= a
    return k, slope


def _polynomial(a: Floats, matern: Matern) -> Floats:
    if matern is Matern.THREE_HALVES:
        return a + 1.0
    p = a * a
    p /= 3.0
    p += a
    p += 1.0
    return p
