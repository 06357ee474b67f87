"""Rows 85 and 90: what Describe changes against the request, and a controller that dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewright.core.ports import Task
from tunewright.testing.world import Program

from .ground import ROLE, Real, Sim, Wire

STATIC = {"gamma": "4", "num_round": "200", "objective": "reg:squarederror", "subsample": "0.7"}
BUILT_IN: Wire = {
    "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:0.90-2-cpu-py3",
    "TrainingInputMode": "File",
}
RANGES: Wire = {
    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "3", "MaxValue": "12"}],
    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5"}],
}
SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


def boosts(task: Task) -> Program:
    """Prints as XGBoost does; the third training job is the best."""
    value = 2.91488 if task.number == 3 else 3 + task.number
    return Program(((1.0, f"[199]#011train-rmse:1.5#011validation-rmse:{value}"),), 2.0)


def test_row_85_what_describe_changes(simulate: Callable[..., Sim]) -> None:
    """The Bayesian job on a built-in image that was seen in 2020, and what came back for it."""
    sim = simulate(boosts)
    objective = {"Type": "Minimize", "MetricName": "validation:rmse"}
    limits = {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 3}
    definition: Wire = {
        "StaticHyperParameters": STATIC,
        "AlgorithmSpecification": BUILT_IN,
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    }
    config: Wire = {"Strategy": "Bayesian", "HyperParameterTuningJobObjective": objective, "ResourceLimits": limits}
    sent = {**config, "ParameterRanges": RANGES}
    name = "sagemaker-xgboost-200326-0454"
    request = {"HyperParameterTuningJobName": name, "HyperParameterTuningJobConfig": sent}
    told = sim.run({**request, "TrainingJobDefinition": definition})

    config_told = told["HyperParameterTuningJobConfig"]
    assert config_told == {
        **config,
        "TrainingJobEarlyStoppingType": "Off",
        "ParameterRanges": {
            "IntegerParameterRanges": [{**RANGES["IntegerParameterRanges"][0], "ScalingType": "Auto"}],
            "ContinuousParameterRanges": [{**RANGES["ContinuousParameterRanges"][0], "ScalingType": "Auto"}],
            "CategoricalParameterRanges": [],
        },
    }
    definition_told = told["TrainingJobDefinition"]
    metrics = definition_told["AlgorithmSpecification"].pop("MetricDefinitions")
    assert definition_told == {
        **definition,
        "StaticHyperParameters": {**STATIC, "_tuning_objective_metric": "validation:rmse"},
        **dict.fromkeys(SWITCHES, False),
    }
    patterns = {metric["Name"]: metric["Regex"] for metric in metrics}
    assert len(patterns) >= 34 and metrics[-1]["Name"] == "ObjectiveMetric"
    assert patterns["ObjectiveMetric"] == patterns["validation:rmse"]
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert told["HyperParameterTuningEndTime"] == told["LastModifiedTime"]
    counters = {"Completed": 20, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}
    assert told["TrainingJobStatusCounters"] == counters
    assert told["ObjectiveStatusCounters"] == {"Succeeded": 20, "Pending": 0, "Failed": 0}
    best = told["BestTrainingJob"]
    assert set(best["TunedHyperParameters"]) == {"eta", "max_depth"}
    final = {"MetricName": "validation:rmse", "Value": 2.9148800373077393}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == final
    assert {key for key in best if key.endswith("Time")} == {"CreationTime", "TrainingStartTime", "TrainingEndTime"}
    assert "Tags" not in told


LEDGER = """
    import argparse, os, time
    parser = argparse.ArgumentParser()
    parser.add_argument("-x", type=float)
    parser.add_argument("--ledger")
    given = parser.parse_args()
    def write(word):
        with open(given.ledger, "a") as ledger:
            ledger.write(f"{word} {os.environ['TRAINING_JOB_NAME']}\\n")
    write("start")
    time.sleep(0.4 + given.x)
    print(f"acc={given.x};", flush=True)
    write("end")
"""


def test_row_90_a_controller_is_killed_and_started_again(real: Real, tmp_path: Path) -> None:
    real.host.background.stop()
    ledger = tmp_path / "ledger.txt"

    def lines(word: str) -> list[str]:
        found = ledger.read_text().splitlines() if ledger.exists() else []
        return sorted(line.split()[1] for line in found if line.startswith(word))

    @contextmanager
    def controller() -> Iterator[None]:
        """A controller that is killed in the end."""
        command = [sys.executable, "-m", "tunewright.assembly"]
        with subprocess.Popen(command, env=real.host.environment(), cwd=tmp_path) as process:
            try:
                yield
            finally:
                process.kill()

    real.create(real.tune("job", LEDGER, static={"ledger": str(ledger)}, jobs=8, parallel=2))
    for finished in (2, 5):
        with controller():
            real.until(lambda finished=finished: len(lines("end")) >= finished, "job")  # type: ignore[misc]
    with controller():
        described = real.end("job")
    names = sorted(child["TrainingJobName"] for child in real.children("job"))
    assert described["TrainingJobStatusCounters"]["Completed"] == len(names) == 8
    assert lines("start") == names, "none lost, none started twice"
    assert lines("end") == names
