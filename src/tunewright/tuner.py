"""What `sagemaker.tuner` offers, under the same names: the only import that a program has to change."""

from tunewright.core.errors import TunewrightWarning
from tunewright.core.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Scaling
from tunewright.sdk.analytics import HyperparameterTuningJobAnalytics
from tunewright.sdk.configs import (
    HyperbandStrategyConfig,
    InstanceConfig,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    WarmStartConfig,
    WarmStartTypes,
)
from tunewright.sdk.errors import (
    InvalidArguments,
    NoBestTrainingJob,
    NotStarted,
    TrainingJobFailed,
    TuningJobFailed,
)
from tunewright.sdk.session import Session
from tunewright.sdk.tuners import HyperparameterTuner
from tunewright.sdk.warm import create_identical_dataset_and_algorithm_tuner, create_transfer_learning_tuner

__all__ = [
    "CategoricalParameter",
    "ContinuousParameter",
    "HyperbandStrategyConfig",
    "HyperparameterTuner",
    "HyperparameterTuningJobAnalytics",
    "InstanceConfig",
    "IntegerParameter",
    "InvalidArguments",
    "NoBestTrainingJob",
    "NotStarted",
    "Scaling",
    "Session",
    "StrategyConfig",
    "TrainingJobFailed",
    "TunewrightWarning",
    "TuningJobCompletionCriteriaConfig",
    "TuningJobFailed",
    "WarmStartConfig",
    "WarmStartTypes",
    "create_identical_dataset_and_algorithm_tuner",
    "create_transfer_learning_tuner",
]
