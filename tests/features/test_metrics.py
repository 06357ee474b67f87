"""Rows 30 to 37: what is read from a training job's log, and what counts as its objective."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from tunewright.testing.world import Program

from .ground import METRIC, Real, Sim, Wire, prints

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"

DOCUMENTED = ("accuracy", "auc", "error", "f1", "logloss", "mae", "map", "merror", "mlogloss", "mse", "ndcg", "rmse")


def specification(*metrics: Wire, image: str = "tunewright/script") -> Wire:
    body: Wire = {"TrainingImage": image, "TrainingInputMode": "File"}
    return {"AlgorithmSpecification": {**body, **({"MetricDefinitions": list(metrics)} if metrics else {})}}


def test_row_30_metrics_by_regular_expression(real: Real) -> None:
    script = """
        import sys
        print("epoch 1 loss: 2.5e-1 (down)")
        print("acc=0.25;", file=sys.stderr)
    """
    loss = {"Name": "loss", "Regex": r"loss: ([0-9.e+-]+) \((down|up)\)"}
    real.run(real.tune("job", script, jobs=1, training=specification(METRIC, loss)))
    [child] = real.children("job")
    found = {
        entry["MetricName"]: entry["Value"] for entry in real.child(child["TrainingJobName"])["FinalMetricDataList"]
    }
    assert found["loss"] == 0.25 and found["acc"] == 0.25
    many = [METRIC, *({"Name": f"m{k}", "Regex": f"m{k}=(.*)"} for k in range(39))]
    real.create(real.request("forty", training=specification(*many)))
    message = real.refused(real.request("more", training=specification(*many, {"Name": "m", "Regex": "m=(.*)"})))
    assert "less than or equal to 40" in message


def test_row_31_the_objective_must_be_defined(sim: Sim) -> None:
    text = (
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
    )
    other = {"Name": "loss", "Regex": "loss=(.*)"}
    assert text in sim.refused(sim.request("job", training=specification(other)))
    assert text in sim.refused(sim.request("job", training=specification()))


@pytest.mark.parametrize("direction", ["Maximize", "Minimize"])
def test_row_32_the_objective_is_the_last_value(real: Real, direction: str) -> None:
    described = real.run(real.tune("job", 'print("acc=0.9;")\nprint("acc=0.5;")\n', jobs=1, type=direction))
    assert described["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5


def test_row_33_the_last_value_and_time_of_each_metric(sim: Sim, simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: Program(((1, "acc=1;"), (2, "loss=4;"), (3, "acc=2;"), (4, "loss=3;")), 5.0))
    loss = {"Name": "loss", "Regex": "loss=(.*);"}
    sim.run(sim.request("job", jobs=1, training=specification(METRIC, loss)))
    [child] = sim.children("job")
    listed = sim.child(child["TrainingJobName"])["FinalMetricDataList"]
    last = {entry["MetricName"]: (entry["Value"], entry["Timestamp"]) for entry in listed}
    assert last["acc"][0] == 2 and last["loss"][0] == 3
    assert isinstance(last["acc"][1], datetime.datetime)
    assert child["CreationTime"] < last["acc"][1] < last["loss"][1]


def test_row_34_the_objective_once_more_as_objective_metric(sim: Sim) -> None:
    sim.create(sim.request("job", training=specification(METRIC, {"Name": "loss", "Regex": "loss=(.*)"})))
    listed = sim.describe("job")["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert listed[-1] == {"Name": "ObjectiveMetric", "Regex": METRIC["Regex"]}
    assert [metric["Name"] for metric in listed] == ["acc", "loss", "ObjectiveMetric"]


def test_row_35_built_in_algorithms_bring_their_metrics(sim: Sim) -> None:
    objective = {"Type": "Minimize", "MetricName": "validation:rmse"}
    asked = {"training": specification(image=XGBOOST), "HyperParameterTuningJobObjective": objective}
    sim.create(sim.request("job", **asked))
    listed = sim.describe("job")["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    names = [metric["Name"] for metric in listed]
    assert {f"{part}:{name}" for part in ("train", "validation") for name in DOCUMENTED} <= set(names)
    assert names[-1] == "ObjectiveMetric"
    assert listed[-1]["Regex"] == listed[names.index("validation:rmse")]["Regex"]


TWO_HOSTS = """
    import os, time
    host, model = os.environ["SM_CURRENT_HOST"], os.environ["MEETING"]
    last = "{last}"
    if host != last:
        print("acc=0.9;\\nloss=9;")
        open(model, "w").close()
    else:
        print("acc=0.5;", flush=True)
        until = time.monotonic() + 60
        while not os.path.exists(model) and time.monotonic() < until:
            time.sleep(0.01)
        lock = open(os.environ["SAGEMAKER_BASE_DIR"].partition("/hosts")[0] + "/lock").read()
        other = lock.split("program ")[{other}].split()[0]
        while os.path.exists(f"/proc/{{other}}") and time.monotonic() < until:
            time.sleep(0.01)
"""


@pytest.mark.parametrize(("last", "other"), [("algo-1", 2), ("algo-2", 1)])
def test_row_36_the_value_of_the_host_that_ends_last(real: Real, last: str, other: int) -> None:
    """It printed its value first, and it is the value; what it did not print is the other host's."""
    loss = {"Name": "loss", "Regex": "loss=(.*);"}
    training = {
        **specification(METRIC, loss),
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        "Environment": {"MEETING": str(real.folder / "met")},
    }
    script = TWO_HOSTS.format(last=last, other=other)
    described = real.run(real.tune("job", script, jobs=1, training=training))
    assert described["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5
    listed = real.child(described["BestTrainingJob"]["TrainingJobName"])["FinalMetricDataList"]
    assert {entry["MetricName"]: entry["Value"] for entry in listed if entry["MetricName"] == "loss"} == {"loss": 9.0}


def test_row_37_completed_without_an_objective(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(1.0) if task.number == 1 else prints())
    sim.run(sim.request("job", jobs=2))
    silent = sim.children("job")[1]
    assert silent["TrainingJobStatus"] == "Completed"
    assert silent["ObjectiveStatus"] == "Failed"
    listed = sim.children("job", SortBy="FinalObjectiveMetricValue")
    assert [child["TrainingJobName"] for child in listed] == [sim.children("job")[0]["TrainingJobName"]]
