"""Small real trainings for learning curves: numpy networks and gradient boosting on drawn data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.core.space import Value

Values = Mapping[str, Value]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Training and validation data of a classification: features (n, f), classes (n,)."""

    x: Floats
    y: Ints
    test_x: Floats
    test_y: Ints
    classes: int


def drawn_data(instance: int) -> Split:
    """Classes as mixtures of clusters seen through a bent, noisy projection; some labels are wrong."""
    rng = np.random.default_rng([31, instance])
    classes, inner, outer = int(rng.integers(2, 7)), int(rng.integers(3, 9)), int(rng.integers(8, 30))
    clusters = int(rng.integers(1, 4))
    centres = 2.0 * rng.standard_normal((classes * clusters, inner)) * math.sqrt(2 / inner)
    n = 900
    cluster = rng.integers(classes * clusters, size=n)
    hidden = centres[cluster] + 0.7 * rng.standard_normal((n, inner))
    x = np.tanh(hidden @ rng.standard_normal((inner, outer)) / math.sqrt(inner))
    x += float(rng.uniform(0.1, 0.4)) * rng.standard_normal(x.shape)
    y = cluster % classes
    wrong = rng.random(n) < float(rng.uniform(0.0, 0.15))
    y = np.where(wrong, rng.integers(classes, size=n), y)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return Split(x[:400], y[:400], x[400:], y[400:], classes)


def log_loss(scores: Floats, y: Ints) -> float:
    """Mean negative log likelihood, each term at most 9.2; scores (n, classes) are log odds."""
    with np.errstate(all="ignore"):
        shifted = scores - scores.max(axis=1, keepdims=True)
        picked = shifted[np.arange(len(y)), y] - np.log(np.exp(shifted).sum(axis=1))
    return float(-np.maximum(np.nan_to_num(picked, nan=-9.2), -9.2).mean())


def network_grid() -> dict[str, list[Value]]:
    return {
        "rate": [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0],
        "decay": [1e-6, 1e-3, 1e-2, 1e-1],
        "units": [4, 16, 64],
        "batch": [10, 40, 160],
        "bend": ["tanh", "relu"],
    }


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer, trained by stochastic gradient descent with momentum 0.9 on the log loss."""

    values: Values

    def curve(self, data: Split, epochs: int) -> Floats:
        """Validation loss after each epoch."""
        rng = np.random.default_rng(5)
        units = int(self.values["units"])
        sizes = ((data.x.shape[1], units), (units, data.classes))
        weights = [rng.standard_normal(size) / math.sqrt(size[0]) for size in sizes]
        moves = [np.zeros(size) for size in sizes]
        losses = []
        with np.errstate(all="ignore"):
            for _ in range(epochs):
                self._epoch(data, weights, moves, rng)
                losses.append(log_loss(self._bend(data.test_x @ weights[0]) @ weights[1], data.test_y))
        return np.array(losses)

    def _bend(self, inner: Floats) -> Floats:
        return np.tanh(inner) if self.values["bend"] == "tanh" else np.maximum(inner, 0.0)

    def _epoch(self, data: Split, weights: list[Floats], moves: list[Floats], rng: np.random.Generator) -> None:
        batch, rate, decay = (float(self.values[name]) for name in ("batch", "rate", "decay"))
        order = rng.permutation(len(data.y))
        for start in range(0, len(order), int(batch)):
            own = order[start : start + int(batch)]
            hidden = self._bend(data.x[own] @ weights[0])
            scores = hidden @ weights[1]
            scores -= scores.max(axis=1, keepdims=True)
            error = np.exp(scores)
            error /= error.sum(axis=1, keepdims=True)
            error[np.arange(len(own)), data.y[own]] -= 1.0
            error /= len(own)
            slope = 1 - hidden**2 if self.values["bend"] == "tanh" else hidden > 0
            slopes = (data.x[own].T @ ((error @ weights[1].T) * slope), hidden.T @ error)
            for weight, move, gradient in zip(weights, moves, slopes, strict=True):
                move *= 0.9
                move -= 0.1 * rate * (gradient + decay * weight)
                weight += move


def boosting_grid() -> dict[str, list[Value]]:
    return {
        "rate": [0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.7, 1.0],
        "depth": [1, 2, 3, 5],
        "subsample": [0.2, 0.5, 1.0],
        "leaf": [1, 5, 20],
        "features": ["all", "root"],
    }


def boosting_curve(values: Values, data: Split, epochs: int) -> Floats:
    """Validation loss after each tree of scikit-learn's gradient boosting."""
    from sklearn.ensemble import GradientBoostingClassifier

    two = np.minimum(data.y, 1), np.minimum(data.test_y, 1)
    model = GradientBoostingClassifier(
        n_estimators=epochs,
        learning_rate=float(values["rate"]),
        max_depth=int(values["depth"]),
        subsample=float(values["subsample"]),
        min_samples_leaf=int(values["leaf"]),
        max_features="sqrt" if values["features"] == "root" else None,
        random_state=0,
    ).fit(data.x[:250], two[0][:250])
    chances = [np.clip(p, 1e-4, 1.0) for p in model.staged_predict_proba(data.test_x)]
    return np.array([-np.log(p[np.arange(len(two[1])), two[1]]).mean() for p in chances])
