"""Real trainings with several influential categoricals: scikit-learn models on its own and on generated data.

A dozen problems that nobody developed the search on: support vector machines, networks, boosting, linear models
and neighbours, each with two to four switches, scored by cross-validation with fixed folds. Evaluations are kept
in a file (`$TUNEWRIGHT_TRAININGS`, default below the temporary directory), so that a comparison pays once.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.fresh import Fresh
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter, Value

Values = Mapping[str, Value]
Floats = NDArray[np.float64]
PARKED = 10.0
"""What a training that fails or diverges counts as."""


def _log(low: float, high: float) -> ContinuousParameter:
    return ContinuousParameter(low, high, "Logarithmic")


def _count(low: int, high: int) -> IntegerParameter:
    return IntegerParameter(low, high, "Logarithmic")


def _one_of(*values: str) -> CategoricalParameter:
    return CategoricalParameter(list(values))


_SCALE = _one_of("none", "standard", "minmax")
_SPACES: dict[str, dict[str, Parameter]] = {
    "svm": {
        "kernel": _one_of("sigmoid", "linear", "poly", "rbf"),
        "scale": _SCALE,
        "weight": _one_of("balanced", "none"),
        "C": _log(1e-3, 1e3),
        "gamma": _log(1e-5, 1e1),
        "degree": IntegerParameter(2, 5, "Linear"),
        "coef0": ContinuousParameter(-1.0, 1.0, "Linear"),
    },
    "svr": {
        "kernel": _one_of("sigmoid", "poly", "rbf", "linear"),
        "scale": _SCALE,
        "C": _log(1e-3, 1e3),
        "gamma": _log(1e-5, 1e1),
        "epsilon": _log(1e-3, 1.0),
    },
    "network": {
        "activation": _one_of("logistic", "relu", "tanh", "identity"),
        "solver": _one_of("sgd", "adam", "lbfgs"),
        "schedule": _one_of("constant", "invscaling", "adaptive"),
        "scale": _SCALE,
        "width": _count(4, 64),
        "depth": IntegerParameter(1, 3, "Linear"),
        "alpha": _log(1e-6, 1e1),
        "rate": _log(1e-4, 1.0),
        "batch": _count(8, 128),
    },
    "boosting": {
        "loss": _one_of("quantile", "absolute_error", "huber", "squared_error"),
        "features": _one_of("log2", "sqrt", "all"),
        "criterion": _one_of("squared_error", "friedman_mse"),
        "rate": _log(1e-3, 1.0),
        "trees": _count(4, 60),
        "depth": IntegerParameter(1, 6, "Linear"),
        "subsample": ContinuousParameter(0.2, 1.0, "Linear"),
        "leaf": _count(1, 40),
    },
    "linear": {
        "loss": _one_of("perceptron", "hinge", "modified_huber", "log_loss"),
        "penalty": _one_of("l1", "l2", "elasticnet"),
        "schedule": _one_of("constant", "optimal", "invscaling", "adaptive"),
        "scale": _SCALE,
        "alpha": _log(1e-6, 1.0),
        "rate": _log(1e-4, 1e1),
        "l1_ratio": ContinuousParameter(0.01, 0.99, "Linear"),
    },
    "neighbours": {
        "metric": _one_of("chebyshev", "manhattan", "cosine", "euclidean"),
        "weights": _one_of("uniform", "distance"),
        "scale": _SCALE,
        "whiten": _one_of("yes", "no"),
        "k": _count(1, 50),
        "components": IntegerParameter(2, 12, "Linear"),
    },
}


def _svm(v: Values) -> Any:
    from sklearn.svm import SVC

    weight = None if v["weight"] == "none" else "balanced"
    return SVC(
        C=v["C"],
        gamma=v["gamma"],
        kernel=v["kernel"],
        degree=v["degree"],
        coef0=v["coef0"],
        class_weight=weight,
        max_iter=2000,
    )


def _svr(v: Values) -> Any:
    from sklearn.svm import SVR

    return SVR(C=v["C"], gamma=v["gamma"], kernel=v["kernel"], epsilon=v["epsilon"], max_iter=2000)


def _network(v: Values) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        (int(v["width"]),) * int(v["depth"]),
        activation=v["activation"],
        solver=v["solver"],
        learning_rate=v["schedule"],
        alpha=v["alpha"],
        learning_rate_init=v["rate"],
        batch_size=int(v["batch"]),
        max_iter=12,
        random_state=0,
    )


def _boosting(v: Values) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        loss=v["loss"],
        criterion=v["criterion"],
        learning_rate=v["rate"],
        n_estimators=int(v["trees"]),
        max_depth=int(v["depth"]),
        subsample=v["subsample"],
        min_samples_leaf=int(v["leaf"]),
        max_features=None if v["features"] == "all" else v["features"],
        random_state=0,
    )


def _linear(v: Values) -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(
        loss=v["loss"],
        penalty=v["penalty"],
        learning_rate=v["schedule"],
        alpha=v["alpha"],
        eta0=v["rate"],
        l1_ratio=v["l1_ratio"],
        max_iter=30,
        random_state=0,
    )


def _neighbours(v: Values) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    nearest = KNeighborsClassifier(int(v["k"]), weights=v["weights"], metric=v["metric"], algorithm="brute")
    return make_pipeline(PCA(int(v["components"]), whiten=v["whiten"] == "yes", random_state=0), nearest)


_MODELS: dict[str, Callable[[Values], Any]] = {
    "svm": _svm,
    "svr": _svr,
    "network": _network,
    "boosting": _boosting,
    "linear": _linear,
    "neighbours": _neighbours,
}


def _scaled(name: str, model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    return model if name == "none" else make_pipeline(StandardScaler() if name == "standard" else MinMaxScaler(), model)


@lru_cache(maxsize=16)
def _data(name: str) -> tuple[Floats, Floats, bool]:
    """Features, targets and whether it is a classification."""
    from sklearn import datasets

    if name == "moons":
        return (*datasets.make_moons(300, noise=0.25, random_state=3), True)
    if name == "made":
        made = datasets.make_classification(350, 15, n_informative=6, n_classes=3, flip_y=0.05, random_state=5)
        return (made[0] * np.exp(np.random.default_rng(5).normal(0, 1.5, 15)), made[1], True)
    if name == "friedman":
        x, y = datasets.make_friedman1(300, 8, noise=0.5, random_state=7)
        return (x, (y - y.mean()) / y.std(), False)
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[:350]
    x, y = x[order].astype(float), y[order]
    return (x, (y - y.mean()) / y.std(), False) if name == "diabetes" else (x, y, True)


def _loss(model: str, data: str, v: Values) -> float:
    """Cross-validated error rate, or mean squared error over the variance of the target."""
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y, classes = _data(data)
    folds = (StratifiedKFold if classes else KFold)(3, shuffle=True, random_state=1)
    losses = []
    for train, test in folds.split(x, y):
        built = _MODELS[model](v)
        fitted = _scaled(str(v.get("scale", "none")), built).fit(x[train], y[train])
        said = fitted.predict(x[test])
        losses.append(float(np.mean(said != y[test]) if classes else np.mean((said - y[test]) ** 2)))
    mean = float(np.mean(losses))
    return min(mean, PARKED) if math.isfinite(mean) else PARKED


class Kept:
    """Evaluations in a file."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._database.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, problem TEXT, value REAL)")

    def value(self, problem: str, v: Values, compute: Callable[[], float]) -> float:
        key = hashlib.sha256(f"{problem} {json.dumps(dict(v), sort_keys=True)}".encode()).hexdigest()
        row = self._database.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return float(row[0])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                value = compute()
            except ValueError:
                value = PARKED
        self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (key, problem, value))
        return value

    def best(self, problem: str) -> float:
        """The lowest value that anybody found."""
        row = self._database.execute("SELECT min(value) FROM kept WHERE problem = ?", (problem,)).fetchone()
        return float(row[0])


@lru_cache(maxsize=1)
def kept() -> Kept:
    default = Path(tempfile.gettempdir()) / "tunewright-trainings.sqlite"
    return Kept(Path(os.environ.get("TUNEWRIGHT_TRAININGS", default)))


PAIRS = (
    ("svm", "digits"),
    ("svm", "wine"),
    ("svm", "moons"),
    ("svr", "diabetes"),
    ("svr", "friedman"),
    ("network", "digits"),
    ("network", "made"),
    ("network", "wine"),
    ("boosting", "diabetes"),
    ("boosting", "friedman"),
    ("linear", "digits"),
    ("linear", "breast_cancer"),
    ("neighbours", "digits"),
    ("neighbours", "wine"),
)


def problem(model: str, data: str) -> Fresh:
    """A training of `model` on `data`; its values are losses, not regrets."""
    name = f"{model}-{data}"
    return Fresh(name, _SPACES[model], lambda v: kept().value(name, v, lambda: _loss(model, data, v)))
