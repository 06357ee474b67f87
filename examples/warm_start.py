"""Warm start across two data sets: what was learned on the first spares training jobs on the second.

A ridge regression on random Fourier features predicts diabetes' progression, first for one half of the patients
and then for the other. The second tuning job starts from the first one's results (TransferLearning), as in the
second example of AMT's documentation, and is compared with one that starts from nothing. Needs scikit-learn.
`python examples/warm_start.py`.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from tunewright.estimator import FunctionEstimator
from tunewright.tuner import ContinuousParameter, HyperparameterTuner, WarmStartConfig, WarmStartTypes

METRIC = "validation:rmse"
FOLDS = 5


def train(width: float, ridge: float, power: float, data: str) -> dict[str, float]:
    """Root mean squared error of a ridge regression on random Fourier features, by cross-validation."""
    with np.load(data) as stored:
        inputs, targets = stored["inputs"] * 20.0, stored["targets"]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(inputs.shape[1], 150)) / width
    features = np.cos(np.sign(inputs) * np.abs(inputs) ** power @ weights + rng.uniform(0, 2 * np.pi, 150))
    errors = []
    for fold in range(FOLDS):
        out = np.arange(len(targets)) % FOLDS == fold
        known, mean = features[~out], targets[~out].mean()
        solved = np.linalg.solve(known.T @ known + ridge * np.eye(150), known.T @ (targets[~out] - mean))
        errors.append((features[out] @ solved + mean - targets[out]) ** 2)
    return {METRIC: float(np.sqrt(np.concatenate(errors).mean()))}


def write_data(directory: Path) -> list[str]:
    """Each half of the patients in a file of its own."""
    inputs, targets = load_diabetes(return_X_y=True)
    paths = []
    for half, name in enumerate(("first", "second")):
        path = directory / f"{name}.npz"
        np.savez(path, inputs=inputs[half::2], targets=targets[half::2])
        paths.append(str(path))
    return paths


def tune(data: str, jobs: int, seed: int, warm_start_config: WarmStartConfig | None = None) -> HyperparameterTuner:
    tuner = HyperparameterTuner(
        estimator=FunctionEstimator(train, hyperparameters={"data": data}),
        objective_metric_name=METRIC,
        objective_type="Minimize",
        hyperparameter_ranges={
            "width": ContinuousParameter(0.1, 1000.0, scaling_type="Logarithmic"),
            "ridge": ContinuousParameter(1e-6, 1e4, scaling_type="Logarithmic"),
            "power": ContinuousParameter(0.2, 3.0),
        },
        max_jobs=jobs,
        max_parallel_jobs=2,
        strategy="Bayesian",
        random_seed=seed,
        warm_start_config=warm_start_config,
    )
    tuner.fit()
    return tuner


def values(tuner: HyperparameterTuner) -> list[float]:
    """The objective of each training job in the order in which they began."""
    table = tuner.analytics().dataframe().sort_values("TrainingJobName")
    return [float(value) for value in table["FinalObjectiveValue"]]


def jobs_until(reached: list[float], goal: float) -> int:
    return next((number for number, value in enumerate(reached, 1) if value <= goal), len(reached) + 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        first, second = write_data(Path(directory))
        previous = tune(first, jobs=25, seed=1)
        cold = values(tune(second, jobs=20, seed=2))

        warm_start_config = WarmStartConfig(
            warm_start_type=WarmStartTypes.TRANSFER_LEARNING,
            parents=[previous.describe()["HyperParameterTuningJobName"]],
        )
        warm = values(tune(second, jobs=20, seed=2, warm_start_config=warm_start_config))

    goal = 1.01 * min(cold)
    print(f"best from nothing: {min(cold):.3f}; with warm start: {min(warm):.3f}")
    without, with_it = jobs_until(cold, goal), jobs_until(warm, goal)
    print(f"within 1 % of it after {without} training jobs from nothing and {with_it} with warm start")
    print(f"training jobs saved: {without - with_it}")


if __name__ == "__main__":
    main()
