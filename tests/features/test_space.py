"""Rows 11 to 18: ranges, their limits and scalings, and values as text."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from .ground import Real, Sim, Wire, categories, continuous, integers, prints

DRAWS = 500


def draws(sim: Sim, ranges: Wire, jobs: int = DRAWS) -> list[Wire]:
    """The configurations of a Random job."""
    sim.run(sim.request("draws", ranges=ranges, jobs=jobs, parallel=10))
    points = sim.points("draws")
    assert len(points) == jobs
    return points


def fit(values: list[float], low: float, high: float) -> float:
    """The Kolmogorov-Smirnov probability of values under the uniform distribution."""
    return float(stats.kstest((np.asarray(values) - low) / (high - low), "uniform").pvalue)


@pytest.fixture
def quick(simulate: Callable[..., Sim]) -> Sim:
    """Programs that end at once, with a constant objective."""
    return simulate(lambda _: prints(1, seconds=0.02))


def test_row_11_integer_continuous_and_categorical_ranges(quick: Sim) -> None:
    ranges = {**integers(n=(2, 40)), **continuous("x", "-1", "1"), **categories(c=["a", "b", "c"])}
    points = draws(quick, ranges)
    assert all(2 <= int(point["n"]) <= 40 and point["n"].isdigit() for point in points)
    assert all(-1 <= float(point["x"]) <= 1 for point in points)
    assert {point["c"] for point in points} == {"a", "b", "c"}


def test_row_12_thirty_ranges_thirty_values_a_hundred_hyperparameters(sim: Sim) -> None:
    def ranges(count: int) -> Wire:
        one = {"MinValue": "0", "MaxValue": "1"}
        return {"ContinuousParameterRanges": [{"Name": f"x{k}", **one} for k in range(count)]}

    def static(count: int) -> Wire:
        return {"StaticHyperParameters": {f"s{k}": "1" for k in range(count)}}

    sim.create(sim.request("thirty", ranges=ranges(30)))
    assert "30" in sim.refused(sim.request("more", ranges=ranges(31)))
    # With `_tuning_objective_metric` and one range: 98 + 1 + 1 = 100.
    sim.create(sim.request("hundred", training=static(98)))
    assert "at most 100" in sim.refused(sim.request("more", training=static(99)))
    sim.create(sim.request("values", ranges=categories(c=[str(k) for k in range(30)])))
    assert "30" in sim.refused(sim.request("more", ranges=categories(c=[str(k) for k in range(31)])))


def test_row_13_linear_scaling(quick: Sim) -> None:
    points = draws(quick, continuous("x", "1", "1000", ScalingType="Linear"))
    assert fit([float(point["x"]) for point in points], 1, 1000) > 0.01


def test_row_14_logarithmic_scaling(quick: Sim) -> None:
    points = draws(quick, continuous("x", "0.0001", "1", ScalingType="Logarithmic"))
    assert fit([float(np.log(float(point["x"]))) for point in points], np.log(1e-4), 0) > 0.01
    zero = quick.refused(quick.request("zero", ranges=continuous("x", "0", "1", ScalingType="Logarithmic")))
    assert "x: Logarithmic needs MinValue > 0" in zero


def test_row_15_reverse_logarithmic_scaling(quick: Sim) -> None:
    points = draws(quick, continuous("x", "0", "0.999", ScalingType="ReverseLogarithmic"))
    assert fit([float(-np.log1p(-float(point["x"]))) for point in points], 0, -np.log(0.001)) > 0.01
    whole = {"IntegerParameterRanges": [{"Name": "n", "MinValue": "0", "MaxValue": "1"}]}
    quick.create(quick.request("linear", ranges=whole, jobs=2))
    whole["IntegerParameterRanges"][0]["ScalingType"] = "ReverseLogarithmic"
    assert "continuous ranges only" in quick.refused(quick.request("whole", ranges=whole, jobs=2))
    one = quick.refused(quick.request("one", ranges=continuous("x", "0", "1", ScalingType="ReverseLogarithmic")))
    assert "MaxValue < 1" in one


def test_row_16_automatic_scaling_is_the_default(quick: Sim) -> None:
    points = draws(quick, continuous("x", "0.00001", "1"))
    [described] = quick.describe("draws")["HyperParameterTuningJobConfig"]["ParameterRanges"][
        "ContinuousParameterRanges"
    ]
    assert described["ScalingType"] == "Auto"
    assert fit([float(np.log(float(point["x"]))) for point in points], np.log(1e-5), 0) > 0.01


def test_row_17_values_are_text_everywhere(real: Real) -> None:
    script = """
        import json, os
        folder = os.environ["SM_INPUT_CONFIG_DIR"]
        print("given", open(f"{folder}/hyperparameters.json").read().replace("\\n", " "))
        print("acc=1;")
    """
    ranges = {**integers(n=(2, 40)), **continuous(), **categories(c=['"adam"', '"sgd"'])}
    real.run(real.tune("texts", script, ranges=ranges, jobs=1))
    [child] = real.children("texts")
    tuned = child["TunedHyperParameters"]
    assert set(tuned) == {"n", "x", "c"} and all(isinstance(value, str) for value in tuned.values())
    assert tuned["c"] in ('"adam"', '"sgd"')
    [line] = [text for text in real.log(child["TrainingJobName"]).splitlines() if text.startswith("given ")]
    given = json.loads(line.removeprefix("given "))
    assert all(isinstance(value, str) for value in given.values())
    assert {name: given[name] for name in tuned} == tuned


def test_row_18_the_objective_is_told_to_the_program(real: Real) -> None:
    script = """
        import json, os
        given = json.load(open(os.environ["SM_INPUT_CONFIG_DIR"] + "/hyperparameters.json"))
        print("told", given["_tuning_objective_metric"])
        print("acc=1;")
    """
    described = real.run(real.tune("told", script, jobs=1))
    [child] = real.children("told")
    assert "told acc" in real.log(child["TrainingJobName"])
    assert real.child(child["TrainingJobName"])["HyperParameters"]["_tuning_objective_metric"] == "acc"
    assert described["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] == "acc"
