"""Warm start: who may be a parent, what may change, and what is inherited."""

from __future__ import annotations

from typing import Any

import pytest

from .test_aws_rules import CREATE
from .world import World, changed, tuning

DEFINITION = "TrainingJobDefinition"
METRICS = f"{DEFINITION}.AlgorithmSpecification.MetricDefinitions"


def finish(world: World, uid: str) -> None:
    while not world.job(uid).status.terminal:
        world.run(uid, {"lr": 0.01}, "loss", 0.5)


def parent(world: World, name: str = "parent", **config: Any) -> str:
    uid = world.create(tuning(name, **config))
    finish(world, uid)
    return uid


def child(*parents: str, kind: str = "TransferLearning", name: str = "child", **config: Any) -> dict[str, Any]:
    listed = [{"HyperParameterTuningJobName": parent} for parent in parents or ("parent",)]
    warm = {"WarmStartType": kind, "ParentHyperParameterTuningJobs": listed}
    return {**tuning(name, **config), "WarmStartConfig": warm}


def test_a_request_without_metrics_inherits_the_parents(world: World) -> None:
    parent(world)
    request = changed(child(), METRICS, None)
    spec = world.job(world.create(request)).spec
    assert [metric.name for metric in spec.definitions[0].training.metrics] == ["loss"]
    assert spec.warm_start is not None and spec.warm_start.parents == ("parent",)
    told = world.describe("child")
    assert [m["Name"] for m in told[DEFINITION]["AlgorithmSpecification"]["MetricDefinitions"]] == [
        "loss",
        "ObjectiveMetric",
    ]
    assert told["WarmStartConfig"] == request["WarmStartConfig"]


def test_a_requests_own_metrics_stand(world: World) -> None:
    parent(world)
    own = [{"Name": "loss", "Regex": "my loss: ([0-9.]+)"}]
    spec = world.job(world.create(changed(child(), METRICS, own))).spec
    assert [metric.regex for metric in spec.definitions[0].training.metrics] == ["my loss: ([0-9.]+)"]


def lr(low: str = "0.001", high: str = "0.1", **more: Any) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": low, "MaxValue": high, **more}]}


def test_ranges_scaling_and_data_may_change(world: World) -> None:
    parent(world)
    request = child(ParameterRanges=lr("0.0001", "1", ScalingType="Logarithmic"))
    request = changed(request, f"{DEFINITION}.OutputDataConfig.S3OutputPath", "s3://elsewhere")
    world.create(request)


STATIC = f"{DEFINITION}.StaticHyperParameters"
REFUSED = {
    "a new name": (changed(child(), STATIC, {"epochs": "3", "extra": "1"}), "Against 'parent': new: extra."),
    "a missing name": (changed(child(), STATIC, {}), "missing: epochs."),
    "another type": (
        child(ParameterRanges={"IntegerParameterRanges": [{"Name": "lr", "MinValue": "1", "MaxValue": "9"}]}),
        "lr: is integer here and continuous in 'parent'",
    ),
    "another direction": (
        child(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "loss"}),
        "'loss' (Maximize) is not that of 'parent', 'loss' (Minimize)",
    ),
    "another environment": (
        changed(child(), f"{DEFINITION}.Environment", {"A": "1"}),
        "Only the following fields in TrainingJobDefinition are allowed to change: [algorithmSpecification,",
    ),
    "hyperband": (child(Strategy="Hyperband"), "warm start is for Bayesian and Random, got Hyperband"),
    "one parent twice": (child("parent", "PARENT"), "'PARENT' is named more than once"),
    "six parents": (child(*[f"p{n}" for n in range(6)]), "less than or equal to 5 (has 6)"),
}


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "extended"])
@pytest.mark.parametrize(("request_", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(world: World, request_: dict[str, Any], words: str, strict: bool) -> None:
    parent(world)
    code, message = world.refused(CREATE, request_, strict=strict)
    assert code == "ValidationException"
    assert words in message


def test_a_parent_must_be_over(world: World) -> None:
    world.create(tuning("parent"))
    code, message = world.refused(CREATE, child())
    assert code == "ValidationException"
    assert "'parent' is InProgress; a parent must be Completed, Stopped or Failed" in message


def test_at_most_ten_changes(world: World) -> None:
    static = {f"s{n}": "1" for n in range(6)}
    finish(world, world.create(changed(tuning("parent"), STATIC, static)))
    five = {name: "2" if name != "s5" else "1" for name in static}
    world.create(changed(child(name="five"), STATIC, five))
    _, message = world.refused(CREATE, changed(child(), STATIC, dict.fromkeys(static, "2")))
    assert "12 changes of hyperparameters against 'parent'; at most 10 are allowed" in message


def test_a_tuned_one_that_became_static_is_two_changes_and_the_other_way_round_is_none(world: World) -> None:
    static = {f"s{n}": "1" for n in range(6)}
    finish(world, world.create(changed(tuning("parent"), STATIC, static)))
    ranges = {"ContinuousParameterRanges": [{"Name": "s0", "MinValue": "0", "MaxValue": "1"}]}

    def swapped(name: str, count: int) -> dict[str, Any]:
        others = {f"s{n}": "2" if n <= count else "1" for n in range(1, 6)}
        return changed(child(name=name, ParameterRanges=ranges), STATIC, {"lr": "0.01", **others})

    world.create(swapped("ten", 4))
    assert "12 changes of hyperparameters" in world.refused(CREATE, swapped("twelve", 5))[1]


def test_what_sagemakers_own_tools_write_is_no_change(world: World) -> None:
    static = {f"s{n}": "1" for n in range(5)} | {"sagemaker_job_name": '"a"'}
    finish(world, world.create(changed(tuning("parent"), STATIC, static)))
    others = dict.fromkeys(static, "2") | {"sagemaker_job_name": '"b"'}
    world.create(changed(child(), STATIC, others))


def test_parents_training_jobs_count_against_the_quota(world: World) -> None:
    parent(world)
    limits = "HyperParameterTuningJobConfig.ResourceLimits"
    amount = {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 747}
    code, message = world.refused(CREATE, changed(child(), limits, amount))
    assert code == "ResourceLimitExceeded" and "needs 751" in message
    world.create(changed(child(name="fits"), limits, {**amount, "MaxNumberOfTrainingJobs": 746}))
    uid = world.create(changed(child(name="open"), limits, {"MaxParallelTrainingJobs": 1}))
    assert world.job(uid).budget == 746


@pytest.mark.parametrize("better", [True, False])
def test_the_overall_best_may_be_a_parents(world: World, better: bool) -> None:
    parent(world)
    uid = world.create(child(kind="IdenticalDataAndAlgorithm"))
    assert world.describe("child")["OverallBestTrainingJob"]["TuningJobName"] == "parent"
    world.run(uid, {"lr": 0.02}, "loss", 0.1 if better else 0.9)
    told = world.describe("child")
    overall = told["OverallBestTrainingJob"]
    assert overall["TuningJobName"] == ("child" if better else "parent")
    assert (overall["TrainingJobName"] == told["BestTrainingJob"]["TrainingJobName"]) == better


def test_transfer_learning_has_no_overall_best(world: World) -> None:
    parent(world)
    world.run(world.create(child()), {"lr": 0.02}, "loss", 0.1)
    told = world.describe("child")
    assert "BestTrainingJob" in told and "OverallBestTrainingJob" not in told
