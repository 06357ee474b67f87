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


PRIOR_TRIALS = 5.0
"""With so many results the prior over the optimum counts once, with fewer more and with more less."""


@dataclass(frozen=True, slots=True)
class OptimumPrior:
    """Where the best configuration is expected to be before there are results: not at the edges of ranges.

    The log density is -sum_j (2 x_j - 1)^4 over numeric parameters, nearly flat in the middle half and 1 lower at an
    edge. It fades: with n results it is weighted with PRIOR_TRIALS / n (Hvarfner et al. 2022, ICLR, "piBO", eq. 6).

    Args:
        columns: feature columns of the numeric parameters.
        weight: what the log density is multiplied with.
    """

    columns: Ints
    weight: float

    @classmethod
    def after(cls, results: int, columns: Ints) -> OptimumPrior:
        """The prior as it counts after some results."""
        return cls(columns, PRIOR_TRIALS / max(results, 1))

    def __call__(self, features: Floats) -> Floats:
        """Values (m,) at features (m, F)."""
        squares = np.square(2.0 * features[:, self.columns] - 1.0)  # as products: `**` takes thirty times as long
        return np.asarray(-self.weight * np.einsum("ij,ij->i", squares, squares))

    def along(self, features: Floats, columns: Ints) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Values (m,) of rows whose features (m, F) move in some columns, and their slopes by these (m, c)."""
        still = self(np.where(np.isin(np.arange(features.shape[1]), columns), 0.5, features))
        numeric = np.isin(columns, self.columns)

        def values_and_slopes(moving: Floats) -> tuple[Floats, Floats]:
            away = numeric * (2.0 * moving - 1.0)
            squares = np.square(away)
            return still - self.weight * np.einsum("ij,ij->i", squares, squares), -8.0 * self.weight * squares * away

        return values_and_slopes


@dataclass(frozen=True, slots=True)
class LogEI:
    """Log expected improvement over the incumbent.

    Args:
        prior: where the optimum is expected, whose log density is added; None: anywhere.
    """

    posterior: Posterior
    prior: OptimumPrior | None = None

    def __call__(self, features: Floats) -> Floats:
        """Values (m,) at features (m, F)."""
        mean, deviation = self.posterior.predict(features)
        value = np.log(deviation) + log_h((self.posterior.incumbent - mean) / deviation)
        return value if self.prior is None else value + self.prior(features)

    def along(self, features: Floats, columns: Ints) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Values (m,) of rows whose features (m, F) move in some columns, and their gradients by these (m, c).

        What is returned takes the moving columns alone, shape (m, c).
        """
        section = self.posterior.along(features, columns)
        prior = None if self.prior is None else self.prior.along(features, columns)

        def values_and_slopes(moving: Floats) -> tuple[Floats, Floats]:
            mean, deviation, pull = section.predict_and_pull(moving)
            z = (self.posterior.incumbent - mean) / deviation
            height = log_h(z)
            by_mean = -np.exp(log_ndtr(z) - height) / deviation
            by_deviation = np.exp(-0.5 * z * z - _LOG_ROOT_2PI - height) / deviation
            value, slopes = np.log(deviation) + height, pull(by_mean, by_deviation)
            if prior is None:
                return value, slopes
            more, steeper = prior(moving)
            return value + more, slopes + steeper

        return values_and_slopes
