"""The covariance: Matern 3/2 over scaled features (Rasmussen and Williams 2006, eq. 4.17)."""

from __future__ import annotations

import math

import numpy as np

from tunewright.search.encode import Floats

_ROOT3 = math.sqrt(3.0)


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
    r2 = one @ other.T
    r2 *= -2.0
    r2 += np.einsum("ij,ij->i", one, one)[:, None]
    r2 += np.einsum("ij,ij->i", other, other)
    return np.maximum(r2, 0.0, out=r2)


def covariance(r2: Floats, signal: float) -> Floats:
    """signal (1 + a) exp(-a) with a = sqrt(3) r, at squared distances r2."""
    a = np.sqrt(r2)
    a *= _ROOT3
    k = np.exp(-a)
    a += 1.0
    k *= a
    k *= signal
    return k


def covariance_and_slope(r2: Floats, signal: float) -> tuple[Floats, Floats]:
    """The covariance and its derivative by the squared distance, -3/2 signal exp(-a)."""
    a = np.sqrt(r2)
    a *= _ROOT3
    slope = np.exp(-a)
    a += 1.0
    a *= slope
    a *= signal
    slope *= -1.5 * signal
    return a, slope
