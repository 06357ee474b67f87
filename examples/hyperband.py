"""Hyperband on a small network: most configurations are seen to be weak after a few epochs and get no more.

The network is trained on scikit-learn's handwritten digits with `partial_fit`, one epoch at a time, and reports
its accuracy after each. Needs scikit-learn. `python examples/hyperband.py [max_jobs]`.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tunewright
from tunewright.estimator import FunctionEstimator
from tunewright.tuner import ContinuousParameter, HyperbandStrategyConfig, HyperparameterTuner, StrategyConfig

EPOCHS = 27
METRIC = "validation:accuracy"


def train(learning_rate: float, alpha: float, momentum: float, epochs: int) -> None:
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, labels, test_size=0.4, random_state=0, stratify=labels)
    images, images_left, labels, labels_left = split
    network = MLPClassifier(
        (64, 32),
        solver="sgd",
        learning_rate_init=learning_rate,
        alpha=alpha,
        momentum=momentum,
        batch_size=32,
        random_state=0,
    )
    for epoch in range(1, epochs + 1):
        network.partial_fit(images, labels, classes=np.arange(10))
        accuracy = network.score(images_left, labels_left)
        tunewright.report(step=epoch, epoch=epoch, **{METRIC: accuracy})


def epochs_of(name: str) -> dict[str, int]:
    """How many epochs each training job of a tuning job was given."""
    client = tunewright.client()
    listed = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    given = {}
    for page in listed.paginate(HyperParameterTuningJobName=name):
        for job in page["TrainingJobSummaries"]:
            told = client.describe_training_job(TrainingJobName=job["TrainingJobName"])
            last = {metric["MetricName"]: metric["Value"] for metric in told.get("FinalMetricDataList", [])}
            given[job["TrainingJobName"]] = int(last.get("epoch", 0))
    return given


def main(max_jobs: int = 16) -> None:
    tuner = HyperparameterTuner(
        FunctionEstimator(train, hyperparameters={"epochs": EPOCHS}),
        METRIC,
        {
            "learning_rate": ContinuousParameter(1e-4, 1.0, scaling_type="Logarithmic"),
            "alpha": ContinuousParameter(1e-6, 1e-1, scaling_type="Logarithmic"),
            "momentum": ContinuousParameter(0.0, 0.99),
        },
        strategy="Hyperband",
        strategy_config=StrategyConfig(HyperbandStrategyConfig(max_resource=EPOCHS, min_resource=3)),
        max_jobs=max_jobs,
        max_parallel_jobs=2,
        random_seed=1,
    )
    tuner.fit()
    given = epochs_of(tuner.describe()["HyperParameterTuningJobName"])
    used, full = sum(given.values()), len(given) * EPOCHS
    print(f"best: {tuner.best_value():.4f} with {tuner.best_params()}")
    print(f"epochs: {used} of {full}, {full - used} saved ({1 - used / full:.0%})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
