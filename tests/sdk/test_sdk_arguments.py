"""Arguments of the wrong kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.estimator import Estimator
from tunewright.tuner import (
    ContinuousParameter,
    HyperparameterTuner,
    InvalidArguments,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    WarmStartConfig,
)

from .fakes import fake, session

METRICS = {"acc": "acc=(.*);"}
RANGES = {"lr": ContinuousParameter(0.1, 0.2)}


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "train.py"
    path.write_text("")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"random_seed": "x"}, "random_seed: must be a whole number, got 'x'; write random_seed=1, say."),
        ({"max_parallel_jobs": None}, "max_parallel_jobs: must be a whole number, got None; write max_parallel_jobs=1"),
        ({"max_runtime_in_seconds": 60}, "max_runtime_in_seconds: must be at least 120, got 60; write"),
        ({"max_jobs": float("nan")}, "max_jobs: must be a whole number, got nan"),
        ({"max_jobs": "3", "replicates": 2}, "max_jobs: must be a whole number, got '3'"),
        ({"warm_start_config": {"parents": []}}, "warm_start_config: {'parents': []} is not a WarmStartConfig; write"),
        (
            {"warm_start_config": StrategyConfig()},
            "is not a WarmStartConfig; write WarmStartConfig(...)",
        ),
        ({"strategy_config": 3}, "strategy_config: 3 is not a StrategyConfig; write StrategyConfig(...)"),
        (
            {"strategy_config": StrategyConfig({"max": 3})},
            "strategy_config.hyperband_strategy_config: {'max': 3} is not a HyperbandStrategyConfig; write",
        ),
        ({"completion_criteria_config": 5}, "completion_criteria_config: 5 is not a TuningJobCompletionCriteriaConfig"),
        (
            {"completion_criteria_config": TuningJobCompletionCriteriaConfig(target_objective_metric_value="x")},
            "holds a value of the wrong kind: could not convert string to float: 'x'",
        ),
        ({"metric_definitions": [{"Name": "loss"}]}, "metric_definitions[0]: {'Name': 'loss'} does not have exactly"),
        ({"metric_definitions": "loss=(.*)"}, "metric_definitions: 'loss=(.*)' is not a list of"),
        ({"tags": [{"k": 1}]}, "tags[0]: {'k': 1} does not have exactly Key and Value; give a list of"),
        ({"tags": 3}, "tags: 3 is not a list of"),
    ],
)
def test_arguments_of_the_wrong_kind_are_told_by_name(script: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        HyperparameterTuner(Estimator(script), "acc", RANGES, **arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["cpus", "gpus", "instance_count", "volume_size", "max_run", "max_retry_attempts"])
def test_an_estimators_numbers_are_whole_numbers(script: Path, tmp_path: Path, name: str) -> None:
    tuner = HyperparameterTuner(Estimator(script, **{name: "2"}), "acc", RANGES, METRICS, session=session(tmp_path))
    with pytest.raises(InvalidArguments, match=f"{name}: must be a whole number, got '2'; write {name}=1, say."):
        tuner.fit()


def test_configurations_of_sagemakers_own_classes_are_taken(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    shape = WarmStartConfig("TransferLearning", ["parent"]).to_input_req()
    theirs = type("WarmStartConfig", (), {"to_input_req": lambda self: shape})()
    tuner = HyperparameterTuner(Estimator(script), "acc", RANGES, METRICS, warm_start_config=theirs, session=mine)
    tuner.fit(job_name="a-job", wait=False)
    assert fake(mine).requests["a-job"]["WarmStartConfig"] == shape
