"""The fit: hyperparameters of the Gaussian process at their maximum a posteriori."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack

from tunewright.search.arrays import Floats
from tunewright.search.bayesian.descent import descend
from tunewright.search.bayesian.kernel import Matern, covariance_and_slope, squared_distances
from tunewright.search.bayesian.priors import JITTER, Layout, Prior

STEPS, FEW_STEPS = 40, 12
"""Steps of descent from the prior's start, and from a fit to nearly the same data."""

_REFUSED = 1e10
_WIDE = 8
"""Columns beyond which a group's squared distances are kept apart, rather than found by a matrix product each time."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a model is fitted to.

    Args:
        features: shape (n, F).
        targets: standardised objectives to minimise, shape (n,).
        matern: how smooth the objective is taken to be.
        basis: values of basis functions, whose weighted sum is a part of the objective, shape (n, b); None: none.
    """

    features: Floats
    targets: Floats
    layout: Layout
    matern: Matern = Matern.THREE_HALVES
    basis: Floats | None = None


class Loss:
    """Negative log posterior of theta and its gradient, O(n^3 + n^2 F).

    The constant mean has a N(0, 1) prior and stands at its optimum; the weights of basis functions have a normal
    prior and are integrated out, which adds B diag(v) B' to the covariance (Rasmussen and Williams 2006, sec. 2.7).
    """

    def __init__(self, data: Data, prior: Prior) -> None:
        self._data, self._prior = data, prior
        self._ones_and_y = np.asfortranarray(np.column_stack([np.ones(len(data.targets)), data.targets]))
        columns = np.bincount(data.layout.group, minlength=data.layout.groups)
        self._wide = np.flatnonzero(columns > _WIDE)
        in_wide = np.isin(data.layout.group, self._wide)
        self._narrow, self._group = data.features[:, ~in_wide], data.layout.group[~in_wide]
        # Squared distances by one group never change but for its length scale: shape (groups, n^2).
        parts = [squared_distances(data.features[:, data.layout.group == group]).ravel() for group in self._wide]
        self._parts = np.array(parts).reshape(len(parts), len(data.targets) ** 2)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        layout, y = self._data.layout, self._data.targets
        g, n = layout.groups, len(y)
        straight = self._narrow * np.exp(-theta[:g])[self._group]
        mixing = layout.mixing(theta) if layout.coupled else None
        scaled = straight if mixing is None else straight @ mixing
        signal, noise = math.exp(theta[g]), math.exp(theta[g + 1])
        r2 = squared_distances(scaled)
        if len(self._wide):
            r2 += (np.exp(-2.0 * theta[self._wide]) @ self._parts).reshape(n, n)
        k, slope = covariance_and_slope(r2, signal, self._data.matern)
        k.flat[:: n + 1] += noise + JITTER
        basis, variances = self._data.basis, np.exp(theta[layout.weights])
        lower, failed = lapack.dpotrf(k if basis is None else k + (basis * variances) @ basis.T, lower=1)
        if failed:
            return _REFUSED, np.zeros(len(theta))
        solved, _ = lapack.dpotrs(lower, self._ones_and_y, lower=1)
        mean = solved[:, 1].sum() / (solved[:, 0].sum() + 1.0)
        alpha = solved[:, 1] - mean * solved[:, 0]
        away = theta - self._prior.mean
        gradient = self._prior.precision @ away
        loss = 0.5 * float(alpha @ (y - mean)) + float(np.log(lower.diagonal()).sum())
        loss += 0.5 * mean * mean + 0.5 * float(away @ gradient)
        halves = self._add_likelihood(gradient, lower, alpha, k, noise)
        if basis is not None:
            gradient[layout.weights] += 0.5 * variances * np.einsum("ij,ij->j", basis, _times(halves, basis))
        halves *= slope.T
        if mixing is None:
            self._add_lengths(gradient, halves, scaled, theta)
        else:
            self._add_metric(gradient, halves, straight, mixing)
        return loss, gradient

    def _add_likelihood(self, gradient: Floats, lower: Floats, alpha: Floats, k: Floats, noise: float) -> Floats:
        """Add d loss / d log noise and d log signal, tr(G dK) with G = (K^-1 - alpha alpha') / 2 (ibid., eq. 5.9).

        Returns:
            2 G, its lower triangle and zeros, shape (n, n): what is symmetric is kept by halves.
        """
        halves, _ = lapack.dpotri(lower, lower=1, overwrite_c=1)
        halves = blas.dsyr(-1.0, alpha, lower=1, a=halves, overwrite_a=1)
        diagonal = halves.diagonal()
        trace = 0.5 * float(diagonal.sum())
        g = self._data.layout.groups
        whole = float(np.vdot(halves.T, k)) - 0.5 * float(diagonal @ k.diagonal())
        gradient[g] += whole - trace * (noise + JITTER)
        gradient[g + 1] += trace * noise
        return np.asarray(halves)

    def _add_lengths(self, gradient: Floats, by_distance: Floats, scaled: Floats, theta: Floats) -> None:
        """Add d loss / d log l_j, minus the sum of M = 2 G * dk/dr2 over the squared distances by group j.

        Over the columns of narrow groups that is -2 sum_a (S_aj^2 R_a - S_aj (M S)_aj), with S the scaled features
        and R the sums of the lines of M: one matrix product for all of them.

        Args:
            by_distance: the lower triangle of M, and zeros.
        """
        groups = self._data.layout.groups
        product = _times(by_distance, np.column_stack([scaled, np.ones(len(scaled))]))
        columns = product[:, -1] @ np.square(scaled) - np.einsum("ij,ij->j", scaled, product[:, :-1])
        gradient[:groups] -= 2.0 * np.bincount(self._group, columns, groups)
        if len(self._wide):
            # Both halves: distances are 0 on the diagonal.
            gradient[self._wide] -= 2.0 * np.exp(-2.0 * theta[self._wide]) * (self._parts @ by_distance.T.ravel())

    def _add_metric(self, gradient: Floats, by_distance: Floats, straight: Floats, mixing: Floats) -> None:
        """Add d loss / d log l_j and by the couplings, where features over their length scales are mixed.

        With S the mixed features, R and M as in `_add_lengths`, d loss / dS = 2 (diag(R) S - M S).
        """
        layout = self._data.layout
        scaled = straight @ mixing
        product = _times(by_distance, np.column_stack([scaled, np.ones(len(scaled))]))
        by_scaled = 2.0 * (scaled * product[:, -1:] - product[:, :-1])
        by_mixing = by_scaled.T @ straight
        i, j = layout.pairs
        gradient[layout.couplings] += by_mixing[i, j] + by_mixing[j, i]
        columns = np.einsum("ij,ij->j", by_scaled @ mixing, straight)
        gradient[: layout.groups] -= np.bincount(self._group, columns, layout.groups)

    def occam(self, theta: Floats) -> float:
        """What the couplings cost: half the log of how much surer the results make of them than the prior was.

        The negative log of Laplace's factor for the evidence of a model with them over one without, the other
        hyperparameters held (MacKay 1992, Neural Computation 4(3), sec. 2; Bishop 2006, sec. 4.4.1). Second
        derivatives are differences of slopes.
        """
        own, step = self._data.layout.couplings, 1e-4
        places = range(own.start, len(theta))
        moves = step * np.eye(len(theta))[list(places)]
        slopes = [(self(theta + move)[1] - self(theta - move)[1])[own] / (2 * step) for move in moves]
        curvature = np.array(slopes)
        sure = np.linalg.eigvalsh(0.5 * (curvature + curvature.T)) / self._prior.precision[-1, -1]
        return 0.5 * float(np.log(np.maximum(sure, 1.0)).sum())


def _times(halves: Floats, columns: Floats) -> Floats:
    """A symmetric matrix, of which the lower triangle is given, by columns (n, c)."""
    return np.asarray(blas.dsymm(1.0, halves, columns, lower=1))


def fit(data: Data, prior: Prior, start: Floats | None = None, steps: int = STEPS) -> Floats:
    """Theta at its maximum a posteriori: a function of the arguments alone.

    Args:
        start: where descent begins; None: at the prior's start.
        steps: of descent.
    """
    begin = prior.start if start is None else np.clip(start, prior.low, prior.high)
    return descend(Loss(data, prior), begin, (prior.low, prior.high), iterations=steps, tolerances=(1e-6, 1e-3))
