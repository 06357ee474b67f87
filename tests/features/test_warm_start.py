"""Rows 46 to 52: warm start."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tunewright.core.ports import Task
from tunewright.testing.world import Program

from .ground import METRIC, Sim, Wire, categories, integers, prints

BOX = {
    "ContinuousParameterRanges": [
        {"Name": "x", "MinValue": "-5", "MaxValue": "10"},
        {"Name": "y", "MinValue": "0", "MaxValue": "15"},
    ]
}


def warm(kind: str, *parents: str) -> Wire:
    named = [{"HyperParameterTuningJobName": name} for name in parents]
    return {"WarmStartConfig": {"WarmStartType": kind, "ParentHyperParameterTuningJobs": named}}


def identical(*parents: str) -> Wire:
    return warm("IdenticalDataAndAlgorithm", *parents)


def transfer(*parents: str) -> Wire:
    return warm("TransferLearning", *parents)


def branin(task: Task) -> Program:
    x, y = (float(task.hyperparameters[name]) for name in "xy")
    valley = y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6
    return prints(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def needed(sim: Sim, name: str, best: float) -> int:
    """The training jobs until a job reached a value (to minimise); one more than it had when it never did."""
    finals = [child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in sim.children(name)]
    return next((number for number, value in enumerate(finals, 1) if value <= best), len(finals) + 1)


@pytest.mark.parametrize("seed", [1])
def test_row_46_identical_data_and_algorithm(simulate: Callable[..., Sim], seed: int) -> None:
    sim = simulate(branin)
    asked = {"strategy": "Bayesian", "type": "Minimize", "ranges": BOX}
    parent = sim.run(sim.request("parent", jobs=15, seed=seed, **asked))
    best = parent["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    sim.run(sim.request("cold", jobs=15, seed=seed + 1, **asked))
    described = sim.run(sim.request("warm", jobs=15, seed=seed + 1, top=identical("parent"), **asked))
    assert needed(sim, "warm", best) < needed(sim, "cold", best)
    overall = described["OverallBestTrainingJob"]
    assert overall["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] <= best
    worse = sim.run(sim.request("worse", jobs=1, seed=5, **{**asked, "strategy": "Random"}, top=identical("parent")))
    assert worse["OverallBestTrainingJob"]["TrainingJobName"] == parent["BestTrainingJob"]["TrainingJobName"]
    assert worse["OverallBestTrainingJob"]["TuningJobName"] == "parent"


def test_row_47_transfer_learning(sim: Sim) -> None:
    for channel in ("old", "new"):
        sim.put(f"s3://data/{channel}/rows.csv", "1,2\n")

    def channel(name: str) -> Wire:
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{name}"}}
        return {"InputDataConfig": [{"ChannelName": "train", "DataSource": source}]}

    sim.run(sim.request("parent", training=channel("old")))
    ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "-3", "MaxValue": "7"}]}
    asked = {"ranges": ranges, "training": channel("new"), "top": transfer("parent")}
    described = sim.run(sim.request("child", strategy="Bayesian", **asked))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert "BestTrainingJob" in described and "OverallBestTrainingJob" not in described


def test_row_48_one_to_five_parents_that_have_ended(sim: Sim) -> None:
    names = [f"parent{k}" for k in range(6)]
    for name in names:
        sim.run(sim.request(name, jobs=1))
    sim.run(sim.request("five", jobs=1, top=transfer(*names[:5])))
    assert "less than or equal to 5" in sim.refused(sim.request("six", top=transfer(*names)))
    sim.create(sim.request("running"))
    assert "'running' is InProgress" in sim.refused(sim.request("early", top=transfer("running")))
    assert "no tuning job called 'nobody'" in sim.refused(sim.request("orphan", top=transfer("nobody")))


def test_row_49_names_types_objective_and_ten_changes(sim: Sim) -> None:
    static = {f"s{k}": "1" for k in range(8)}
    sim.run(sim.request("parent", jobs=1, training={"StaticHyperParameters": static}))

    def asked(**changes: object) -> Wire:
        training = {"StaticHyperParameters": changes.pop("static", static), **changes.pop("training", {})}  # type: ignore[dict-item]
        return sim.request("child", top=transfer("parent"), training=training, **changes)

    names = "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs"
    assert names in sim.refused(asked(static={**static, "more": "1"}))
    assert "x" in sim.refused(asked(ranges=integers(x=(0, 9))))
    other = {"Type": "Maximize", "MetricName": "f1"}
    body = {"TrainingImage": "i", "TrainingInputMode": "File"}
    metrics = {"AlgorithmSpecification": {**body, "MetricDefinitions": [METRIC, {"Name": "f1", "Regex": "f1=(.*)"}]}}
    assert "objective" in sim.refused(asked(HyperParameterTuningJobObjective=other, training=metrics))
    assert "objective" in sim.refused(asked(type="Minimize"))
    # A changed static value counts as two changes: five make ten, six are too many.
    five = {name: "2" if place < 5 else value for place, (name, value) in enumerate(static.items())}
    six = {name: "2" if place < 6 else value for place, (name, value) in enumerate(static.items())}
    assert "10" in sim.refused(asked(static=six))
    sim.create(asked(static=five))


def test_row_50_grandparents_do_not_count(simulate: Callable[..., Sim]) -> None:
    """A space of nine points: what a parent tried is not tried again, what only the grandparent tried is."""
    ranges = categories(a=["1", "2", "3"], b=["1", "2", "3"])
    sim = simulate(lambda task: prints(float(task.hyperparameters["a"])))

    def tried(name: str, jobs: int, *parents: str) -> set[tuple[str, str]]:
        start = identical(*parents) if parents else {}
        sim.run(sim.request(name, strategy="Bayesian", ranges=ranges, jobs=jobs, seed=len(name), top=start))
        return {(point["a"], point["b"]) for point in sim.points(name)}

    grandparent = tried("grandparent", 3)
    parent = tried("parent", 3, "grandparent")
    assert not grandparent & parent, "a parent's points are not tried again"
    child = tried("child", 6, "parent")
    assert not child & parent and grandparent <= child, "all but the parent's, the grandparent's among them"
    listed = tried("listed", 3, "parent", "grandparent")
    assert not listed & (parent | grandparent), "unless it is listed"


def test_row_51_other_fields_are_fixed(sim: Sim) -> None:
    sim.run(sim.request("parent", jobs=1, training={"Environment": {"A": "1"}}))
    message = sim.refused(sim.request("child", training={"Environment": {"A": "2"}}, top=identical("parent")))
    assert (
        "Only the following fields in TrainingJobDefinition are allowed to change: [algorithmSpecification,"
        " inputDataConfig, outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition,"
        " vpcConfig, enableManagedSpotTraining, checkpointConfig]."
    ) in message


def test_row_52_parents_count_against_the_limit(sim: Sim) -> None:
    sim.run(sim.request("parent", jobs=4))
    sim.create(sim.request("most", jobs=746, top=transfer("parent")))
    message = sim.refused(sim.request("more", jobs=747, top=transfer("parent")), "ResourceLimitExceeded")
    assert "750" in message


def test_retries_that_autotune_filled_in_are_no_change(sim: Sim) -> None:
    """A request cannot be blamed for a field that it left open, on either side."""
    enabled = {"Autotune": {"Mode": "Enabled"}}
    sim.run(sim.request("tuned", jobs=1, strategy="Bayesian", top=enabled))
    sim.run(sim.request("plain", jobs=1, strategy="Bayesian"))
    sim.create(sim.request("plain-child", strategy="Bayesian", top=transfer("tuned")))
    sim.create(sim.request("tuned-child", strategy="Bayesian", top={**enabled, **transfer("plain")}))
    asked = {"RetryStrategy": {"MaximumRetryAttempts": 7}}
    message = sim.refused(sim.request("changed", strategy="Bayesian", training=asked, top=transfer("plain")))
    assert "RetryStrategy" in message


def test_of_equal_bests_the_earliest_is_the_best_overall(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: prints(1.0))
    first = sim.run(sim.request("first", jobs=1))["BestTrainingJob"]["TrainingJobName"]
    sim.run(sim.request("second", jobs=1, seed=2))
    child = sim.run(sim.request("child", jobs=1, seed=3, top=identical("second", "first")))
    assert child["OverallBestTrainingJob"]["TrainingJobName"] == first
    assert child["OverallBestTrainingJob"]["TuningJobName"] == "first"
