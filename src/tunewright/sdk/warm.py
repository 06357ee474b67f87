"""Tuners that begin with the results of tuning jobs known by name."""

from __future__ import annotations

from collections.abc import Iterable

from tunewright.sdk.estimators import EstimatorBase
from tunewright.sdk.session import Session
from tunewright.sdk.tuners import HyperparameterTuner


def create_identical_dataset_and_algorithm_tuner(
    parent: str, additional_parents: Iterable[str] | str | None = None, sagemaker_session: Session | None = None
) -> HyperparameterTuner:
    """A tuner that goes on from a tuning job's results with the same data and program."""
    tuner = HyperparameterTuner.attach(parent, sagemaker_session)
    return tuner.identical_dataset_and_algorithm_tuner(additional_parents)


def create_transfer_learning_tuner(
    parent: str,
    additional_parents: Iterable[str] | str | None = None,
    estimator: EstimatorBase | None = None,
    sagemaker_session: Session | None = None,
) -> HyperparameterTuner:
    """A tuner that begins with a tuning job's results, for other data or another version of the program."""
    tuner = HyperparameterTuner.attach(parent, sagemaker_session)
    return tuner.transfer_learning_tuner(additional_parents, estimator)
