"""Real trainings with two to five numeric hyperparameters: six scikit-learn regressors on five data sets.

    python -m benchmarks.quality.numeric --instances 0:2 --out before.jsonl
    python -m benchmarks.quality.numeric --instances 0:2 --out after.jsonl --before before.jsonl

An instance is another draw of each data set, or another split. With `--before`, the runs of another version on the
same instances, the regret of those over that of these is printed, with 90 % bootstrap intervals over problems:
regret to the best that either found, over random search's expected one, clipped to [0.001, 10]. Set
OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.develop import BUDGETS, references, run
from benchmarks.quality.fresh import Fresh
from benchmarks.quality.ratios import Run, ratio_table
from benchmarks.quality.trainings import PARKED
from tunewright.core.space import ContinuousParameter, IntegerParameter, Parameter

SAMPLES = 120
"""Random trainings that a problem's scale is taken from."""

DATA = ("friedman1", "friedman2", "friedman3", "regression", "diabetes")


def _real(low: float, high: float, scaling: str = "Logarithmic") -> ContinuousParameter:
    return ContinuousParameter(low, high, scaling)


def _count(low: int, high: int, scaling: str = "Logarithmic") -> IntegerParameter:
    return IntegerParameter(low, high, scaling)


SPACES: dict[str, dict[str, Parameter]] = {
    "boost": {
        "rate": _real(0.01, 0.5),
        "trees": _count(10, 120),
        "depth": _count(1, 8, "Linear"),
        "sub": _real(0.3, 1.0, "Linear"),
        "leaf": _count(1, 30),
    },
    "svr": {"C": _real(1e-3, 1e3), "gamma": _real(1e-5, 10.0), "eps": _real(1e-3, 1.0)},
    "mlp": {"width": _count(4, 64), "alpha": _real(1e-6, 10.0), "rate": _real(1e-4, 0.3), "batch": _count(8, 128)},
    "sgd": {
        "alpha": _real(1e-6, 1.0),
        "rate": _real(1e-4, 1.0),
        "l1": _real(0.01, 0.99, "Linear"),
        "power": _real(0.05, 0.8, "Linear"),
    },
    "krr": {"alpha": _real(1e-6, 10.0), "gamma": _real(1e-5, 10.0)},
    "forest": {
        "depth": _count(1, 20, "Linear"),
        "split": _count(2, 40),
        "leaf": _count(1, 40),
        "feat": _real(0.05, 1.0, "Linear"),
    },
}


def regressor(model: str, v: Mapping[str, Any]) -> Any:
    """The untrained model with hyperparameters v."""
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import SGDRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.svm import SVR

    makers: dict[str, Callable[[], Any]] = {
        "boost": lambda: GradientBoostingRegressor(
            learning_rate=v["rate"],
            n_estimators=v["trees"],
            max_depth=v["depth"],
            subsample=v["sub"],
            min_samples_leaf=v["leaf"],
            random_state=0,
        ),
        "svr": lambda: SVR(C=v["C"], gamma=v["gamma"], epsilon=v["eps"], max_iter=20000),
        "mlp": lambda: MLPRegressor(
            (v["width"],),
            alpha=v["alpha"],
            learning_rate_init=v["rate"],
            batch_size=v["batch"],
            max_iter=20,
            random_state=0,
        ),
        "sgd": lambda: SGDRegressor(
            alpha=v["alpha"],
            eta0=v["rate"],
            l1_ratio=v["l1"],
            penalty="elasticnet",
            power_t=v["power"],
            max_iter=20,
            tol=None,
            random_state=0,
        ),
        "krr": lambda: KernelRidge(alpha=v["alpha"], gamma=v["gamma"], kernel="rbf"),
        "forest": lambda: ExtraTreesRegressor(
            12,
            max_depth=v["depth"],
            min_samples_split=v["split"],
            min_samples_leaf=v["leaf"],
            max_features=v["feat"],
            random_state=0,
        ),
    }
    return makers[model]()


def split(name: str, instance: int) -> list[Any]:
    """Scaled features and targets: training features, test features, training targets, test targets."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    drawn = {
        "friedman1": lambda: datasets.make_friedman1(260, 8, noise=1.0, random_state=instance),
        "friedman2": lambda: datasets.make_friedman2(260, noise=60.0, random_state=instance),
        "friedman3": lambda: datasets.make_friedman3(260, noise=0.1, random_state=instance),
        "regression": lambda: datasets.make_regression(260, 15, n_informative=6, noise=20.0, random_state=instance),
        "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    }
    features, targets = drawn[name]()
    targets = (targets - targets.mean()) / targets.std()
    train, test, *both = train_test_split(features, targets, test_size=0.4, random_state=instance)
    scaler = StandardScaler().fit(train)
    return [scaler.transform(train), scaler.transform(test), *both]


def problem(model: str, data: str, instance: int) -> Fresh:
    """The squared error on the test part; a training that fails or diverges counts as `PARKED`."""
    train, test, known, hidden = split(data, instance)

    def loss(values: Mapping[str, Any]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = regressor(model, values).fit(train, known).predict(test)
            except ValueError:  # scikit-learn's word for weights that have overflowed
                return PARKED
            error = float(np.mean(np.square(found - hidden)))
        return min(error, PARKED) if np.isfinite(error) else PARKED

    return Fresh(f"{model}-{data}-{instance}", SPACES[model], loss)


def runs(instances: range, models: list[str], seeds: int) -> Iterator[Run]:
    """Runs of Bayesian search, with the loss of the best after each training job."""
    for instance in instances:
        for model in models:
            for data in DATA:
                one = problem(model, data, instance)
                reference = references(one, SAMPLES).tolist()
                for seed in range(seeds):
                    curve, seconds = run(one, "Bayesian", 7919 * seed + sum(map(ord, one.name)), 1, max(BUDGETS))
                    yield {
                        "problem": one.name,
                        "seed": seed,
                        "curve": curve,
                        "seconds": seconds,
                        "reference": reference,
                    }


def found_least(*files: list[Run]) -> dict[str, float]:
    """The least loss of each problem in any of some runs: what the true one is nobody knows."""
    least: dict[str, float] = {}
    for one in (one for runs in files for one in runs):
        least[one["problem"]] = min(least.get(one["problem"], np.inf), one["curve"][-1])
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", default="0:2", help="first:last, the last not included")
    parser.add_argument("--models", default=",".join(SPACES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="runs of another version, which these are compared with")
    given = parser.parse_args()
    after = []
    with given.out.open("w") as out:
        for one in runs(range(*map(int, given.instances.split(":"))), given.models.split(","), given.seeds):
            after.append(one)
            out.write(json.dumps(one) + "\n")
            out.flush()
    if given.before:
        before = [json.loads(line) for line in given.before.read_text().splitlines()]
        print(ratio_table(before, after, BUDGETS, found_least(before, after)))


if __name__ == "__main__":
    main()
