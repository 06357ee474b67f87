"""Uses of the public names as a user writes them. mypy --strict checks this file; nothing here is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import tunewright
from tunewright import CategoricalParameter, ContinuousParameter, IntegerParameter, Search, assembly, report
from tunewright.core.space import Value
from tunewright.estimator import Estimator, FunctionEstimator, TrainingInput, attach_training_job
from tunewright.sdk import session
from tunewright.sdk.estimators import EstimatorBase
from tunewright.sdk.session import Session
from tunewright.tuner import (
    HyperbandStrategyConfig,
    HyperparameterTuner,
    HyperparameterTuningJobAnalytics,
    InstanceConfig,
    InvalidArguments,
    StrategyConfig,
    TrainingJobFailed,
    TuningJobCompletionCriteriaConfig,
    TuningJobFailed,
    WarmStartConfig,
    WarmStartTypes,
)

if TYPE_CHECKING:
    import pandas


def train(lr: float, layers: int = 2) -> dict[str, float]:
    report(step=1, loss=lr)
    report({"validation:accuracy": 0.5}, step=2)
    return {"loss": lr * layers}


def the_seed(directory: Path) -> str:
    estimator = Estimator(
        "train.py",
        directory,
        python="/usr/bin/python3",
        hyperparameters={"epochs": 20, "name": "resnet", "layers": [1, 2]},
        metric_definitions=[{"Name": "validation:accuracy", "Regex": "acc=([0-9.]+)"}],
        environment={"OMP_NUM_THREADS": "1"},
        output_path=directory / "out",
        max_run=600,
        cpus=2,
        gpus=1,
        tags={"team": "a"},
    )
    tuner = HyperparameterTuner(
        estimator=estimator,
        objective_metric_name="validation:accuracy",
        hyperparameter_ranges={
            "learning_rate": ContinuousParameter(0.001, 0.1),
            "num_layers": IntegerParameter(2, 10),
            "optimizer": CategoricalParameter(["sgd", "adam"]),
        },
        max_jobs=20,
        max_parallel_jobs=4,
        strategy="Bayesian",
        early_stopping_type="Auto",
        warm_start_config=WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, ["earlier"]),
        completion_criteria_config=TuningJobCompletionCriteriaConfig(target_objective_metric_value=0.99),
        random_seed=7,
        initial_points=[{"learning_rate": 0.01, "num_layers": 3, "optimizer": "sgd"}],
        conditions={"momentum": "optimizer == 'sgd'"},
        strict=False,
    )
    tuner.fit({"train": directory, "validation": "s3://bucket/prefix", "more": TrainingInput("file:///data")})
    assert_type(tuner.best_params(), dict[str, Value])
    assert_type(tuner.best_value(), float)
    assert_type(tuner.best_estimator(), EstimatorBase)
    return tuner.best_training_job()


def functions() -> None:
    tuner = HyperparameterTuner(
        FunctionEstimator(train),
        "loss",
        {"lr": ContinuousParameter(1e-4, 1.0, "Logarithmic")},
        objective_type="Minimize",
        strategy="Hyperband",
        strategy_config=StrategyConfig(HyperbandStrategyConfig(max_resource=27, min_resource=1)),
        hyperband_mode="stopping",
    )
    try:
        tuner.fit(wait=False)
        tuner.wait()
    except TuningJobFailed as error:
        print(error.reason, error.log.text if error.log is not None else "")
    except InvalidArguments as error:
        print([problem.path for problem in error.problems])
    tuner.override_resource_config([InstanceConfig(1, "ml.m5.large")])
    FunctionEstimator("package.module:name", path=["."])


def afterwards(name: str) -> pandas.DataFrame:
    tuner = HyperparameterTuner.attach(name)
    analytics = tuner.analytics()
    assert_type(analytics, HyperparameterTuningJobAnalytics)
    child = tuner.transfer_learning_tuner(additional_parents={"other"}, estimator=FunctionEstimator(train))
    assert_type(child, HyperparameterTuner)
    return analytics.dataframe()


def alone(directory: Path) -> str | None:
    estimator = Estimator("train.py", directory)
    try:
        estimator.fit("data", job_name="one", logs=False)
    except TrainingJobFailed as error:
        print(error.training_job)
    estimator.logs()
    assert_type(attach_training_job("one", Session()), EstimatorBase)
    return estimator.model_data


def clients() -> None:
    local = tunewright.client(strict=True)
    remote = tunewright.client("http://127.0.0.1:8080")
    for client in (local, remote):
        print(client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"])
    HyperparameterTuner(Estimator("train.py"), "acc", {"lr": ContinuousParameter(0, 1)}, client=remote)


def engines(found: assembly.Local) -> session.Local:
    return found


def engine() -> None:
    search = Search({"lr": ContinuousParameter(1e-4, 1.0)}, objective_type="Minimize", seed=1)
    suggestion = search.ask()
    search.tell(suggestion.number, 0.5)
    print(search.best)
