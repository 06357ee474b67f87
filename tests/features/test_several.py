"""Rows 53 to 55: several algorithms in one job, and Autotune."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .ground import METRIC, Sim, Wire, continuous, prints


def test_row_53_several_algorithms(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(1 + float(task.hyperparameters.get("b", -1))))
    first = sim.definition("first", ranges=continuous("a"))
    second = sim.definition("second", ranges=continuous("b"))
    described = sim.run(sim.several("job", first, second, jobs=8, parallel=2))
    children = sim.children("job")
    assert {child["TrainingJobDefinitionName"] for child in children} == {"first", "second"}
    for child in children:
        tuned = {"first": {"a"}, "second": {"b"}}[child["TrainingJobDefinitionName"]]
        assert set(child["TunedHyperParameters"]) == tuned
    finals = {c["TrainingJobName"]: c["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for c in children}
    best = described["BestTrainingJob"]
    assert best["TrainingJobDefinitionName"] == "second"
    assert finals[best["TrainingJobName"]] == max(finals.values())


def test_row_54_several_algorithms_exclude_early_stopping_and_warm_start(sim: Sim) -> None:
    sim.run(sim.request("parent", jobs=1))
    both = sim.definition("a"), sim.definition("b")
    assert "single definition" in sim.refused(sim.several("stops", *both, TrainingJobEarlyStoppingType="Auto"))
    start = {"WarmStartType": "TransferLearning"}
    start |= {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}]}  # type: ignore[dict-item]
    assert "single definition" in sim.refused(sim.several("warm", *both, top={"WarmStartConfig": start}))


def autotuned(sim: Sim, name: str, **hints: str) -> Wire:
    listed = [{"Name": hint, "ValueHint": text} for hint, text in hints.items()]
    request = sim.request(name, jobs=None, ranges={"AutoParameters": listed}, strategy="Bayesian")
    return {**request, "Autotune": {"Mode": "Enabled"}}


def test_row_55_autotune(sim: Sim) -> None:
    sim.create(autotuned(sim, "job", max_depth="4", eta="0.3"))
    described = sim.describe("job")
    config = described["HyperParameterTuningJobConfig"]
    [depth] = config["ParameterRanges"]["IntegerParameterRanges"]
    assert (depth["Name"], depth["MinValue"], depth["MaxValue"]) == ("max_depth", "2", "8")
    assert [entry["Name"] for entry in config["ParameterRanges"]["ContinuousParameterRanges"]] == ["eta"]
    assert described["Autotune"] == {"Mode": "Enabled"}
    assert config["ResourceLimits"]["MaxNumberOfTrainingJobs"] > 0
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["TuningJobCompletionCriteria"]["ConvergenceDetected"] == {"CompleteOnConvergence": "Enabled"}
    assert described["TrainingJobDefinition"]["RetryStrategy"]["MaximumRetryAttempts"] >= 1


@pytest.mark.parametrize("given", ["Off", "Auto"])
def test_row_55_autotune_leaves_what_is_given(sim: Sim, given: str) -> None:
    request = autotuned(sim, "job", max_depth="4")
    request["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] = given
    request["TrainingJobDefinition"]["RetryStrategy"] = {"MaximumRetryAttempts": 7}
    sim.create(request)
    described = sim.describe("job")
    assert described["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == given
    assert described["TrainingJobDefinition"]["RetryStrategy"] == {"MaximumRetryAttempts": 7}
    assert METRIC in described["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]


def test_autotune_leaves_hyperband_its_epochs(sim: Sim) -> None:
    """The SDK makes a hint of every hyperparameter; the length of a training is what Hyperband works with."""
    request = autotuned(sim, "job", max_depth="4", epochs="9")
    request["HyperParameterTuningJobConfig"]["Strategy"] = "Hyperband"
    sim.create(request)
    described = sim.describe("job")
    ranges = described["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert [entry["Name"] for entry in ranges["IntegerParameterRanges"]] == ["max_depth"]
    assert described["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] == "9"


def test_autotune_of_a_list_of_one_stops_early(sim: Sim) -> None:
    sim.create({**sim.several("one", sim.definition("a")), "Autotune": {"Mode": "Enabled"}})
    assert sim.describe("one")["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Auto"
    several = sim.several("two", sim.definition("a"), sim.definition("b"))
    sim.create({**several, "Autotune": {"Mode": "Enabled"}})
    assert sim.describe("two")["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Off"


def test_autotune_asks_for_no_more_training_jobs_than_the_quota_leaves(sim: Sim) -> None:
    sim.run(sim.request("parent", jobs=4, strategy="Bayesian"))
    few = sim.changed(quotas="jobs=10")
    start = {"WarmStartType": "TransferLearning"}
    start |= {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}]}  # type: ignore[dict-item]
    top = {"Autotune": {"Mode": "Enabled"}, "WarmStartConfig": start}
    few.create_hyper_parameter_tuning_job(**sim.request("child", jobs=None, strategy="Bayesian", top=top))
    limits = sim.describe("child")["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == 6
