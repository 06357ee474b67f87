"""Rows 56 to 65 and 84: training jobs of a tuning job, and its life."""

from __future__ import annotations

import re
from collections.abc import Callable

from tunewright.core.ports import Task
from tunewright.testing.world import Program

from .ground import Real, Sim, Wire, prints, refusal, x_of


def test_row_56_names(sim: Sim) -> None:
    sim.run(sim.request("my-Job", jobs=5, parallel=3))
    children = [sim.child(child["TrainingJobName"]) for child in sim.children("my-Job")]
    assert all(re.fullmatch(r"my-Job-\d{3,}-[0-9a-f]{8}", child["TrainingJobName"]) for child in children)
    launched = sorted(children, key=lambda child: child["CreationTime"])
    assert [int(child["TrainingJobName"].split("-")[2]) for child in launched] == [1, 2, 3, 4, 5]


def test_row_57_children_are_training_jobs(sim: Sim) -> None:
    arn = sim.create(sim.request("job", jobs=3))
    sim.end("job")
    children = sim.children("job")
    assert len(children) == 3
    for child in children:
        described = sim.child(child["TrainingJobName"])
        assert described["TuningJobArn"] == arn
        assert described["TrainingJobArn"] == child["TrainingJobArn"]


def test_row_58_settings_are_inherited(sim: Sim) -> None:
    sim.put("s3://data/train/rows.csv", "1\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train", "S3DataDistributionType": "FullyReplicated"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    inherited: Wire = {
        "RoleArn": "arn:aws:iam::123456789012:role/other",
        "InputDataConfig": [{**channel, "CompressionType": "None", "RecordWrapperType": "None"}],
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 7},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 700},
        "Environment": {"A": "1"},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "EnableNetworkIsolation": True,
    }
    described = sim.run(sim.request("job", jobs=1, training=inherited))
    [child] = sim.children("job")
    found = sim.child(child["TrainingJobName"])
    for name, value in inherited.items():
        assert found[name] == value, name
        assert described["TrainingJobDefinition"][name] == value, name


def test_row_59_environment_variables(real: Real) -> None:
    script = 'import os\nprint("mood", os.environ["MOOD"])\nprint("acc=1;")\n'
    real.run(real.tune("job", script, jobs=1, training={"Environment": {"MOOD": "good"}}))
    [child] = real.children("job")
    assert "mood good" in real.log(child["TrainingJobName"])

    def environment(count: int) -> Wire:
        return {"Environment": {f"V{k}": "1" for k in range(count)}}

    real.create(real.request("most", training=environment(48)))
    assert "48" in real.refused(real.request("more", training=environment(49)))
    halves = real.definition("a", **environment(24)), real.definition("b", **environment(25))
    assert "48" in real.refused(real.several("sum", *halves))


def test_row_60_five_attempts(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda _: prints(code=1))
    described = sim.run(sim.request("job", jobs=20))
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "No training job succeeded after 5 attempts. For additional details, please take a look at the training job"
        " failures by listing training jobs for the hyperparameter tuning job."
    )
    assert sim.statuses("job") == ["Failed"] * 5


def test_five_attempts_are_the_reason_though_one_that_was_running_had_a_value(simulate: Callable[..., Sim]) -> None:
    long = Program(((1.0, "acc=0.5;"),), 500.0)
    sim = simulate(lambda task: long if task.number == 1 else prints(seconds=3.0, code=1))
    described = sim.run(sim.request("job", jobs=20, parallel=2))
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert sim.statuses("job") == ["Stopped"] + ["Failed"] * 5
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 5}


def test_row_61_some_failures_are_borne(simulate: Callable[..., Sim]) -> None:
    sim = simulate(lambda task: prints(1.0) if task.number == 3 else prints(code=1))
    described = sim.run(sim.request("job", jobs=12))
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert sorted(sim.statuses("job")) == ["Completed"] + ["Failed"] * 11


def test_row_62_counters(simulate: Callable[..., Sim]) -> None:
    ends = {1: prints(1.0), 2: prints(code=1), 3: prints(), 4: prints(code=-9), 5: prints(1.0)}
    sim = simulate(lambda task: ends[task.number])
    sim.create(sim.request("job", jobs=5, parallel=2))
    looks = []

    def look() -> bool:
        described = sim.describe("job")
        looks.append((described["TrainingJobStatusCounters"], described["ObjectiveStatusCounters"]))
        launched = len(sim.children("job"))
        assert all(sum(counters.values()) == launched for counters in looks[-1])
        return bool(described["HyperParameterTuningJobStatus"] == "Completed")

    sim.until(look)
    assert any(status["InProgress"] == objective["Pending"] == 2 for status, objective in looks)
    status, objective = looks[-1]
    assert status == {"Completed": 3, "InProgress": 0, "RetryableError": 1, "NonRetryableError": 1, "Stopped": 0}
    assert objective == {"Succeeded": 2, "Pending": 0, "Failed": 3}


def test_row_63_the_best_so_far(simulate: Callable[..., Sim]) -> None:
    values = {1: 0.2, 2: 0.9, 3: 0.5}
    sim = simulate(lambda task: prints(values[task.number]))
    sim.create(sim.request("job", jobs=3))
    seen: list[object] = []

    def look() -> bool:
        described = sim.describe("job")
        best = described.get("BestTrainingJob")
        value = None if best is None else best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        if value not in seen:
            seen.append(value)
        return bool(described["HyperParameterTuningJobStatus"] == "Completed")

    sim.until(look)
    assert [value if value is None else round(float(str(value)), 6) for value in seen] == [None, 0.2, 0.9]
    best = sim.describe("job")["BestTrainingJob"]
    required = {"TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus", "TunedHyperParameters"}
    optional = {"TrainingStartTime", "TrainingEndTime", "ObjectiveStatus"}
    assert required | optional <= set(best)
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "acc"


def test_row_64_stop(real: Real) -> None:
    script = """
        import signal, sys, time
        def told(*_):
            print("told to stop", flush=True)
            time.sleep(0.5)
            sys.exit(0)
        signal.signal(signal.SIGTERM, told)
        print("acc=0.5;", flush=True)
        time.sleep(300)
    """
    real.create(real.tune("job", script, jobs=20, parallel=2))
    real.until(lambda: [c for c in real.children("job") if "acc" in real.log(c["TrainingJobName"])][1:], "job")
    real.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="job")
    assert real.describe("job")["HyperParameterTuningJobStatus"] == "Stopping"
    again = lambda: real.client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="job")  # noqa: E731
    assert "already" in refusal(again)
    assert real.end("job")["HyperParameterTuningJobStatus"] == "Stopped"
    assert real.statuses("job") == ["Stopped", "Stopped"]
    assert all("told to stop" in real.log(child["TrainingJobName"]) for child in real.children("job"))
    assert "already" in refusal(again)


def test_row_65_delete(sim: Sim) -> None:
    sim.create(sim.request("job", jobs=2))
    delete = lambda: sim.client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="job")  # noqa: E731
    assert "not in a terminal state" in refusal(delete)
    sim.end("job")
    names = [child["TrainingJobName"] for child in sim.children("job")]
    delete()
    refusal(lambda: sim.describe("job"), "ResourceNotFound")
    assert sim.client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []
    assert [sim.child(name)["TrainingJobStatus"] for name in names] == ["Completed", "Completed"]


def slowly(task: Task) -> Program:
    return prints(x_of(task), seconds=10.0)


def test_row_84_tags(simulate: Callable[..., Sim]) -> None:
    sim = simulate(slowly)
    arn = sim.create(sim.request("job", jobs=2, top={"Tags": [{"Key": "team", "Value": "red"}]}))

    def tags(of: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in sim.client.list_tags(ResourceArn=of)["Tags"]}

    sim.until(lambda: len(sim.children("job")) == 1)
    sim.client.add_tags(ResourceArn=arn, Tags=[{"Key": "later", "Value": "1"}])
    sim.end("job")
    first, second = (child["TrainingJobArn"] for child in sim.children("job"))
    assert tags(first) == {"team": "red"}
    assert tags(second) == tags(arn) == {"team": "red", "later": "1"}
    sim.client.delete_tags(ResourceArn=second, TagKeys=["team"])
    sim.client.delete_tags(ResourceArn=arn, TagKeys=["later"])
    assert tags(second) == {"later": "1"}
    assert tags(arn) == tags(first) == {"team": "red"}
