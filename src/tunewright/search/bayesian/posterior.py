"""What the data say about any point, given theta."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

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


def solved(lower: Floats, right: Floats, *, transposed: bool = False) -> Floats:
    """L^-1 right, or L'^-1 right, of a lower factor L (n, n) and columns (n, m)."""
    found, failed = lapack.dtrtrs(lower, right, lower=1, trans=int(transposed))
    assert not failed, "a factor has no zero on its diagonal"
    return np.asarray(found)


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Gaussian process conditioned on data, and on results that are believed before they are there.

    Args:
        scaled: features of the data over their length scales, mixed where they are coupled, shape (n, F).
        inverse_lengths: one over the length scale of each feature column, shape (F,).
        mixing: as in `Layout.mixing`; None where features are not coupled.
        lower: Cholesky factor of the covariance, shape (n, n).
        weights: K^-1 (y - mean), shape (n,).
        fitted: posterior means at the real data, shape (m,) with m <= n.
        targets: the real data's objectives, shape (m,).
        incumbent: the best objective so far.
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
    incumbent: float
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
        both, _ = lapack.dpotrs(lower, ones_and_y, lower=1)
        mean = float(both[:, 1].sum() / (both[:, 0].sum() + 1.0))
        weights = both[:, 1] - mean * both[:, 0]
        fitted = data.targets - weights * (noise + JITTER)
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
            incumbent=0.0,
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
        return replace(self, incumbent=incumbent)

    def _scale(self, features: Floats) -> Floats:
        """Features (m, F) as `scaled` has the data's."""
        scaled = features * self.inverse_lengths
        return scaled if self.mixing is None else np.asarray(scaled @ self.mixing)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations (m,) of the objective without noise at features (m, F)."""
        k = covariance(squared_distances(self._scale(features), self.scaled), self.signal, self.matern)
        prior = np.full(len(features), self.signal)
        if self.trend is not None:
            told = self.trend.of(features)
            k += self.trend.covariance(told)
            prior += self.trend.variance(told)
        half = solved(self.lower, k.T)
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
        """Means (p,), covariance without noise (p, p) and L^-1 k (n, p) at features (p, F)."""
        scaled = self._scale(features)
        k = covariance(squared_distances(scaled, self.scaled), self.signal, self.matern)
        prior = covariance(squared_distances(scaled), self.signal, self.matern)
        if self.trend is not None:
            told = self.trend.of(features)
            k += self.trend.covariance(told)
            prior += self.trend.among(told)
        half = solved(self.lower, k.T)
        return self.mean + k @ self.weights, prior - half.T @ half, half

    def believing(self, features: Floats) -> Posterior:
        """Take the means for the results at features (p, F) (Ginsbourger et al. 2010, "kriging believer").

        No mean changes by that, deviations do: a block of rows is appended to the Cholesky factor. The incumbent is
        the best of the real one and the means.
        """
        assert len(self.targets) == len(self.scaled), "results are believed once"
        results, among, half = self.joint(features)
        n, p = len(self.lower), len(features)
        among.flat[:: p + 1] += self.noise + JITTER
        lower = np.zeros((n + p, n + p), order="F")
        lower[:n, :n] = self.lower
        lower[n:, :n] = half.T
        lower[n:, n:] = cholesky(among)
        return replace(
            self,
            scaled=np.vstack([self.scaled, self._scale(features)]),
            lower=lower,
            weights=np.concatenate([self.weights, np.zeros(p)]),
            incumbent=min(self.incumbent, float(results.min())),
            trend=None if self.trend is None else self.trend.with_data(features),
        )


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
    return _columns(len(features), [one.predict(features)[0] for one in models])


def _columns(m: int, each: Sequence[Floats]) -> Floats:
    """Vectors (m,) side by side; shape (m, 0) where there are none."""
    return np.column_stack(each) if each else np.empty((m, 0))


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

        Slopes are given by mean and by deviation, shape (m,).
        """
        own = self.posterior
        scaled = self.held + moving @ self.spread
        k, slope = covariance_and_slope(self.apart + squared_distances(scaled, self.scaled), own.signal, own.matern)
        prior, (told, pulls) = np.full(len(moving), own.signal), self._others(moving)
        if own.trend is not None:
            k += own.trend.covariance(told)
            prior += own.trend.variance(told)
        half = solved(own.lower, k.T)
        variance = prior - np.einsum("ij,ij->j", half, half)
        deviation = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

        def pull(by_mean: Floats, by_deviation: Floats) -> Floats:
            inner = solved(own.lower, half, transposed=True).T
            by_k = by_mean[:, None] * own.weights - (by_deviation / deviation)[:, None] * inner
            by_r2 = by_k * slope
            pulled = scaled * by_r2.sum(axis=1)[:, None] - by_r2 @ self.scaled
            total = 2.0 * pulled @ self.spread.T
            if own.trend is not None:
                by_told = (by_k @ own.trend.told + (by_deviation / deviation)[:, None] * told) * own.trend.variances
                for column, one in zip(by_told.T, pulls, strict=True):
                    total += one(column, np.zeros(len(column)))
            return np.asarray(total)

        return own.mean + k @ own.weights, deviation, pull

    def _others(self, moving: Floats) -> tuple[Floats, list[Callable[[Floats, Floats], Floats]]]:
        """What the models of the trend expect, shape (m, b), and what turns slopes by it into slopes by columns."""
        looks = [one.predict_and_pull(moving) for one in self.others]
        return _columns(len(moving), [mean for mean, _, _ in looks]), [pull for _, _, pull in looks]
