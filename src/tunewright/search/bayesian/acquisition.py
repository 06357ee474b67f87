"""What a trial is worth: the logarithm of its expected improvement."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from tunewright.search.arrays import Floats, Ints
from tunewright.search.bayesian.posterior import Posterior

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_FAR = -1e4


def log_h(z: Floats) -> Floats:
    """log(phi(z) + z Phi(z)) without cancellation (Ament et al. 2023, NeurIPS, eq. 9)."""
    out = np.empty_like(z)
    near = z > -1.0
    a = z[near]
    out[near] = np.log(np.exp(-0.5 * a * a - _LOG_ROOT_2PI) + a * ndtr(a))
    b = z[~near]
    tail = np.empty_like(b)
    far = b < _FAR
    c = b[~far]
    product = c * (math.sqrt(math.pi / 2) * erfcx(-c / math.sqrt(2)))
    tail[~far] = np.log1p(np.maximum(product, -1.0 + 1e-14))
    tail[far] = -2.0 * np.log(-b[far])
    out[~near] = -0.5 * b * b - _LOG_ROOT_2PI + tail
    return out


@dataclass(frozen=True, slots=True)
class LogEI:
    """Log expected improvement over the incumbent, averaged over the versions of a posterior."""

    posterior: Posterior

    def __call__(self, features: Floats) -> Floats:
        """Values (m,) at features (m, F)."""
        mean, deviation = self.posterior.predict(features)
        each = np.log(deviation)[:, None] + log_h((self.posterior.incumbent - mean) / deviation[:, None])
        return _log_mean(each)

    def along(self, features: Floats, columns: Ints) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Values (m,) of rows whose features (m, F) move in some columns, and their gradients by these (m, c).

        What is returned takes the moving columns alone, shape (m, c).
        """
        section = self.posterior.along(features, columns)

        def values_and_slopes(moving: Floats) -> tuple[Floats, Floats]:
            mean, deviation, pull = section.predict_and_pull(moving)
            z = (self.posterior.incumbent - mean) / deviation[:, None]
            height = log_h(z)
            each = np.log(deviation)[:, None] + height
            total = _log_mean(each)
            share = np.exp(each - total[:, None]) / each.shape[1]
            by_mean = -np.exp(log_ndtr(z) - height) / deviation[:, None] * share
            by_deviation = np.exp(-0.5 * z * z - _LOG_ROOT_2PI - height) / deviation[:, None] * share
            return total, pull(by_mean, by_deviation.sum(axis=1))

        return values_and_slopes


def _log_mean(each: Floats) -> Floats:
    """log of the mean of exp over the last axis."""
    if each.shape[1] == 1:
        return each[:, 0]
    most = each.max(axis=1)
    return np.asarray(most + np.log(np.exp(each - most[:, None]).mean(axis=1)))
