"""Estimators: a training script, a Python function, or a built-in algorithm."""

from tunewright.sdk.analytics import TrainingJobAnalytics
from tunewright.sdk.errors import InvalidArguments, NotStarted, TrainingJobFailed
from tunewright.sdk.functions import FunctionEstimator
from tunewright.sdk.inputs import TrainingInput
from tunewright.sdk.revive import attach_training_job
from tunewright.sdk.scripts import AlgorithmEstimator, Estimator
from tunewright.sdk.session import Session
from tunewright.sdk.training import TrainingJob

__all__ = [
    "AlgorithmEstimator",
    "Estimator",
    "FunctionEstimator",
    "InvalidArguments",
    "NotStarted",
    "Session",
    "TrainingInput",
    "TrainingJob",
    "TrainingJobAnalytics",
    "TrainingJobFailed",
    "attach_training_job",
]
