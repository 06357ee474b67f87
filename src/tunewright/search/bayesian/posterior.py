"""What the data say about any point, given theta."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from tunewright.search.arrays import Bools, Floats, Ints
from tunewright.search.bayesian.kernel import Matern, covariance, covariance_and_slope, squared_distances
from tunewright.search.bayesian.model import Data
from tunewright.search.bayesian.priors import JITTER

NOISY = 0.02
"""Share of the signal variance above which noise is taken seriously."""

_LEAST_VARIANCE = 1e-14


def cholesky(matrix: Floats) -> Floats:
    """The lower factor; rounding that made the matrix indefinite is met with a growing diagonal."""
    for extra in (0.0, 1e-6, 1e-4, 1e-2):
        if extra:
            matrix.flat[:: len(matrix) + 1] += extra
        lower, failed = lapack.dpotrf(matrix, lower=1, clean=1)
        if not failed:
            return np.asarray(lower)
    raise np.linalg.LinAlgError("the covariance is not positive definite")


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Gaussian process conditioned on data and, in several versions at once, on imagined results.

    Args:
        scaled: features of the data over their length scales, mixed where they are coupled, shape (n, F).
        inverse_lengths: one over the length scale of each feature column, shape (F,).
        mixing: as in `Layout.mixing`; None where features are not coupled.
        lower: Cholesky factor of the covariance, shape (n, n).
        weights: K^-1 (y - mean) for each of s versions, shape (n, s).
        fitted: posterior means at the real data, shape (m,) with m <= n.
        targets: the real data's objectives, shape (m,).
        incumbent: the best objective so far in each version, shape (s,).
        matern: how smooth the objective is taken to be.
        trend: what other models expect, as a part of the objective; None: there are none.
    """

    scaled: Floats
    inverse_lengths: Floats
    mixing: Floats | None
    signal: float
    noise: float
    mean: float
    lower: Floats
    weights: Floats
    fitted: Floats
    targets: Floats
    incumbent: Floats
    matern: Matern
    trend: Trend | None = None

    @classmethod
    def of(cls, data: Data, theta: Floats, models: Sequence[Posterior] = ()) -> Posterior:
        """Condition on data; the incumbent is the best mean, or the best value where noise is large.

        Args:
            models: whose means are the basis functions, as many as `data.basis` has columns.
        """
        g, n = data.layout.groups, len(data.targets)
        inverse_lengths = np.exp(-theta[:g])[data.layout.group]
        signal, noise = math.exp(theta[g]), math.exp(theta[g + 1])
        mixing = data.layout.mixing(theta) if data.layout.coupled else None
        scaled = data.features * inverse_lengths
        scaled = scaled if mixing is None else scaled @ mixing
        k = covariance(squared_distances(scaled), signal, data.matern)
        trend = None
        if data.basis is not None:
            trend = Trend(tuple(models), np.exp(theta[data.layout.weights]), data.basis)
            k += trend.covariance(data.basis)
        k.flat[:: n + 1] += noise + JITTER
        lower = cholesky(k)
        ones_and_y = np.column_stack([np.ones(n), data.targets])
        solved, _ = lapack.dpotrs(lower, ones_and_y, lower=1)
        mean = float(solved[:, 1].sum() / (solved[:, 0].sum() + 1.0))
        weights = (solved[:, 1] - mean * solved[:, 0])[:, None]
        fitted = data.targets - weights[:, 0] * (noise + JITTER)
        made = cls(
            scaled,
            inverse_lengths,
            mixing,
            signal,
            noise,
            mean,
            lower,
            weights,
            fitted,
            data.targets,
            incumbent=np.zeros(1),
            matern=data.matern,
            trend=trend,
        )
        return made.with_incumbent_among(np.ones(n, dtype=bool))

    @property
    def noisy(self) -> bool:
        return self.noise > NOISY * self.signal

    def with_incumbent_among(self, among: Bools, *, by_mean: bool = False) -> Posterior:
        """The same posterior with the incumbent taken among some of the real data (a mask of shape (m,)).

        Args:
            by_mean: it is the best mean where noise is large too.
        """
        values = self.targets if self.noisy and not by_mean else self.fitted
        return self.with_incumbent(float(values[among].min()))

    def with_incumbent(self, incumbent: float) -> Posterior:
        """The same posterior with this incumbent."""
        return replace(self, incumbent=np.array([incumbent]))

    def _scale(self, features: Floats) -> Floats:
        """Features (m, F) as `scaled` has the data's."""
        scaled = features * self.inverse_lengths
        return scaled if self.mixing is None else np.asarray(scaled @ self.mixing)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Means (m, s) and standard deviations (m,) of the objective without noise at features (m, F)."""
        k = covariance(squared_distances(self._scale(features), self.scaled), self.signal, self.matern)
        prior = np.full(len(features), self.signal)
        if self.trend is not None:
            told = self.trend.of(features)
            k += self.trend.covariance(told)
            prior += self.trend.variance(told)
        half = solve_triangular(self.lower, k.T, lower=True, check_finite=False)
        variance = prior - np.einsum("ij,ij->j", half, half)
        return self.mean + k @ self.weights, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

    def along(self, features: Floats, columns: Ints) -> Section:
        """What is needed to move rows (m, F) along some of their columns, the others staying as they are."""
        still = np.setdiff1d(np.arange(features.shape[1]), columns)
        others = () if self.trend is None else tuple(one.along(features, columns) for one in self.trend.models)
        pace = self.inverse_lengths[columns]
        if self.mixing is not None:
            held = (features[:, still] * self.inverse_lengths[still]) @ self.mixing[still]
            return Section(self, np.zeros(1), held, self.scaled, pace[:, None] * self.mixing[columns], others)
        apart = np.zeros((len(features), len(self.scaled)))
        if len(still):
            apart = squared_distances(features[:, still] * self.inverse_lengths[still], self.scaled[:, still])
        return Section(self, apart, np.zeros(1), self.scaled[:, columns], np.diag(pace), others)

    def joint(self, features: Floats) -> tuple[Floats, Floats, Floats]:
        """Means (p,) of the first version, covariance without noise (p, p) and L^-1 k (n, p) at features (p, F)."""
        scaled = self._scale(features)
        k = covariance(squared_distances(scaled, self.scaled), self.signal, self.matern)
        prior = covariance(squared_distances(scaled), self.signal, self.matern)
        if self.trend is not None:
            told = self.trend.of(features)
            k += self.trend.covariance(told)
            prior += self.trend.among(told)
        half = solve_triangular(self.lower, k.T, lower=True, check_finite=False)
        return self.mean + k @ self.weights[:, 0], prior - half.T @ half, half

    def condition_on(self, features: Floats, results: Floats) -> Posterior:
        """Condition on imagined results (p, s) at features (p, F), real data unchanged.

        A block of rows is appended to the Cholesky factor, shared by all s versions. The incumbent of each
        version is the better of the real one and its imagined results.
        """
        _, among, half = self.joint(features)
        n, p = len(self.lower), len(features)
        among.flat[:: p + 1] += self.noise + JITTER
        lower = np.zeros((n + p, n + p), order="F")
        lower[:n, :n] = self.lower
        lower[n:, :n] = half.T
        lower[n:, n:] = cholesky(among)
        real = np.repeat(self._real_targets(), results.shape[1], axis=1)
        weights, _ = lapack.dpotrs(lower, np.vstack([real, results]) - self.mean, lower=1)
        scaled = np.vstack([self.scaled, self._scale(features)])
        incumbent = np.minimum(self.incumbent[0], results.min(axis=0))
        trend = None if self.trend is None else self.trend.with_data(features)
        return replace(self, scaled=scaled, lower=lower, weights=np.asarray(weights), incumbent=incumbent, trend=trend)

    def _real_targets(self) -> Floats:
        assert len(self.targets) == len(self.scaled), "results are imagined once"
        return self.targets[:, None]


@dataclass(frozen=True, slots=True)
class Trend:
    """A weighted sum of what other models expect, the weights unknown: w ~ N(0, diag(v)).

    Args:
        models: whose means are summed, b of them.
        variances: v, shape (b,).
        told: the means at the data, shape (n, b).
    """

    models: tuple[Posterior, ...]
    variances: Floats
    told: Floats

    def of(self, features: Floats) -> Floats:
        """The models' means at features (m, F), shape (m, b)."""
        return means(self.models, features)

    def covariance(self, told: Floats) -> Floats:
        """Of the sum where the models expect `told` (m, b) with the data, shape (m, n)."""
        return np.asarray((told * self.variances) @ self.told.T)

    def among(self, told: Floats) -> Floats:
        """Of the sum between places where the models expect `told` (m, b), shape (m, m)."""
        return np.asarray((told * self.variances) @ told.T)

    def variance(self, told: Floats) -> Floats:
        """Of the sum where the models expect `told` (m, b), shape (m,)."""
        return np.asarray(np.square(told) @ self.variances)

    def with_data(self, features: Floats) -> Trend:
        """The same with data appended at features (p, F)."""
        return replace(self, told=np.vstack([self.told, self.of(features)]))


def means(models: Sequence[Posterior], features: Floats) -> Floats:
    """What each of some models expects at features (m, F): shape (m, len(models))."""
    return np.hstack([np.empty((len(features), 0)), *(one.predict(features)[0] for one in models)])


@dataclass(frozen=True, slots=True)
class Section:
    """A posterior along some columns of some rows.

    Args:
        apart: squared distances of the rows from the data that do not depend on the moving columns, shape (m, n).
        held: where the rows are for the still columns alone, shape (m, f); (1,) where that is the origin.
        scaled: the data where distances depend on the moving columns, shape (n, f).
        spread: where a step along each moving column leads, shape (c, f).
        others: sections of the models of a trend.
    """

    posterior: Posterior
    apart: Floats
    held: Floats
    scaled: Floats
    spread: Floats
    others: tuple[Section, ...] = ()

    def predict_and_pull(self, moving: Floats) -> tuple[Floats, Floats, Callable[[Floats, Floats], Floats]]:
        """As `Posterior.predict` with moving columns (m, c), and what turns slopes into slopes by these columns.

        Slopes are given by mean (m, s) and by deviation (m,).
        """
        own = self.posterior
        scaled = self.held + moving @ self.spread
        k, slope = covariance_and_slope(self.apart + squared_distances(scaled, self.scaled), own.signal, own.matern)
        prior, (told, pulls) = np.full(len(moving), own.signal), self._others(moving)
        if own.trend is not None:
            k += own.trend.covariance(told)
            prior += own.trend.variance(told)
        half = solve_triangular(own.lower, k.T, lower=True, check_finite=False)
        variance = prior - np.einsum("ij,ij->j", half, half)
        deviation = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

        def pull(by_mean: Floats, by_deviation: Floats) -> Floats:
            inner = solve_triangular(own.lower, half, lower=True, trans=1, check_finite=False).T
            by_k = by_mean @ own.weights.T - (by_deviation / deviation)[:, None] * inner
            by_r2 = by_k * slope
            pulled = scaled * by_r2.sum(axis=1)[:, None] - by_r2 @ self.scaled
            total = 2.0 * pulled @ self.spread.T
            if own.trend is not None:
                by_told = (by_k @ own.trend.told + (by_deviation / deviation)[:, None] * told) * own.trend.variances
                for column, one in zip(by_told.T, pulls, strict=True):
                    total += one(column[:, None], np.zeros(len(column)))
            return np.asarray(total)

        return own.mean + k @ own.weights, deviation, pull

    def _others(self, moving: Floats) -> tuple[Floats, list[Callable[[Floats, Floats], Floats]]]:
        """What the models of the trend expect, shape (m, b), and what turns slopes by it into slopes by columns."""
        looks = [one.predict_and_pull(moving) for one in self.others]
        told = np.hstack([np.empty((len(moving), 0)), *(mean for mean, _, _ in looks)])
        return told, [pull for _, _, pull in looks]
