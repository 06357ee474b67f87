"""Extended features in the Python face: what travels, what is shared out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.estimator import FunctionEstimator
from tunewright.sdk.errors import InvalidArguments
from tunewright.sdk.revive import tuner_arguments
from tunewright.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner, IntegerParameter

from .fakes import fake, session

RANGES = {
    "lr": ContinuousParameter(1e-4, 1.0, "Logarithmic"),
    "batch": IntegerParameter(16, 64, step=16),
    "beta1": ContinuousParameter(0.8, 0.99),
    "opt": CategoricalParameter(["adam", "sgd"]),
}
RULES: dict[str, Any] = {
    "conditions": {"beta1": "opt == 'adam'"},
    "forbidden": ["opt == 'sgd' and lr > 0.1"],
    "initial_points": [{"lr": 0.01, "opt": "sgd"}],
}


def train(lr: float, batch: int, opt: str, beta1: float = 0.9) -> float:
    return lr + batch + beta1 + len(opt)


def extension(definition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(definition["StaticHyperParameters"]["_tunewright"])
    return {name: value for name, value in found.items() if name not in ("function", "cpus", "gpus", "python")}


def test_steps_of_ranges_and_rules_travel(tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    tuner = HyperparameterTuner(
        FunctionEstimator(train), "objective", RANGES, session=mine, steps={"beta1": 0.01}, **RULES
    )
    tuner.fit(job_name="a-job", wait=False)
    request = fake(mine).requests["a-job"]
    assert extension(request["TrainingJobDefinition"]) == {**RULES, "steps": {"batch": 16, "beta1": 0.01}}
    again = tuner_arguments({**request, "HyperParameterTuningJobStatus": "InProgress"})
    assert again["steps"] == {"batch": 16, "beta1": 0.01} and again["conditions"] == RULES["conditions"]


def test_several_estimators_get_what_speaks_of_their_own(tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    other = {"lr": ContinuousParameter(0.1, 1.0), "depth": IntegerParameter(1, 8)}
    arguments = (
        {"a": FunctionEstimator(train), "b": FunctionEstimator(_deep)},
        {"a": "m", "b": "m"},
        {"a": RANGES, "b": other},
    )
    tuner = HyperparameterTuner.create(
        *arguments, session=mine, steps={"depth": 2, "beta1": 0.01}, replicates=2, **RULES
    )
    tuner.fit({}, job_name="a-job", wait=False)
    request = fake(mine).requests["a-job"]
    one, two = (extension(each) for each in request["TrainingJobDefinitions"])
    assert one == {**RULES, "steps": {"batch": 16, "beta1": 0.01}, "replicates": 2}
    assert two == {"steps": {"depth": 2}, "replicates": 2}
    merged = tuner_arguments({**request, "HyperParameterTuningJobStatus": "InProgress"})
    assert merged["steps"] == {"batch": 16, "beta1": 0.01, "depth": 2} and merged["replicates"] == 2
    with pytest.raises(InvalidArguments, match=r"steps: 'width' fits the parameters of none of the estimators"):
        HyperparameterTuner.create(*arguments, session=mine, steps={"width": 2})


def _deep(lr: float, depth: int) -> float:
    return lr * depth


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": {"lr": 7}}, "lr: the step 7 is larger than the range"),
        ({"steps": {"opt": 1}}, "steps.opt: is for numeric ranges"),
        ({"steps": [1]}, "steps: is a dictionary by parameter name, got"),
        ({"conditions": {"beta1": "opt == adamw"}}, "conditions.beta1: 'opt == adamw': 'adamw' is none of the values"),
        ({"forbidden": "lr > 1"}, "forbidden: is a list, got 'lr > 1'."),
        ({"initial_points": [{"batch": 20}]}, "initial_points[0].batch: 20 is not among its values"),
        ({"initial_points": [3]}, "initial_points[0]: is a dictionary of parameter name to value, got 3"),
        ({**RULES, "initial_points": [{"opt": "sgd", "beta1": 0.9}]}, "initial_points[0].beta1: is not active here"),
        ({"replicates": 0}, "replicates: must be a whole number of at least 1, got 0."),
        ({"replicates": 3, "max_jobs": 10}, "max_jobs: 10 is not a multiple of replicates 3"),
        ({"keep_best": 1.5}, "keep_best: must be a whole number of at least 1, got 1.5."),
        ({"strict": True, **RULES}, "conditions: AMT has no field for it."),
        ({"strict": True}, "batch: has the step 16, which AMT does not know"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        HyperparameterTuner(FunctionEstimator(train), "objective", RANGES, **arguments)
    assert words in str(refused.value)


def test_a_function_must_do_without_inactive_parameters(tmp_path: Path) -> None:
    def needs(lr: float, batch: int, opt: str, beta1: float) -> float:
        return lr + batch + beta1 + len(opt)

    tuner = HyperparameterTuner(FunctionEstimator(needs), "m", RANGES, session=session(tmp_path / "home"), **RULES)
    with pytest.raises(InvalidArguments, match=r"beta1.*has no default"):
        tuner.fit(job_name="a-job", wait=False)
