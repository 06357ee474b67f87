"""The covariance: Matern 3/2 over scaled features."""

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


def matern32(r2: Floats, signal: float) -> Floats:
    """signal (1 + sqrt(3) r) exp(-sqrt(3) r) (Rasmussen and Williams 2006, eq. 4.17)."""
    r = np.sqrt(r2)
    r *= _ROOT3
    k = np.exp(-r)
    r += 1.0
    k *= r
    k *= signal
    return k


def matern32_and_slope(r2: Floats, signal: float) -> tuple[Floats, Floats]:
    """The covariance and its derivative by the squared distance, -3/2 signal exp(-sqrt(3) r)."""
    r = np.sqrt(r2)
    r *= _ROOT3
    e = np.exp(-r)
    r += 1.0
    r *= e
    r *= signal
    e *= -1.5 * signal
    return r, e
