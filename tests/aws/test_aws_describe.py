"""What Describe makes of a request: the shape observed on the live service in 2020, and what has come since."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.core.events import Resumed, StopAsked

from .test_aws_rules import listed, several
from .world import ROLE, START, World, changed, ranges, training, tuning

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
CHANNELS = [
    {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://bucket/abalone/{name}",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "ContentType": "libsvm",
        "CompressionType": "None",
        "RecordWrapperType": "None",
    }
    for name in ("train", "validation")
]
STATIC = {"gamma": "4", "num_round": "200", "objective": "reg:squarederror", "subsample": "0.7"}


def observed_request() -> dict[str, Any]:
    """A Bayesian job on a built-in image, sent without scaling, early stopping type or booleans."""
    return {
        "HyperParameterTuningJobName": "sagemaker-xgboost-200326-0454",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 3},
            "ParameterRanges": {
                "IntegerParameterRanges": [
                    {"Name": "max_depth", "MinValue": "3", "MaxValue": "12"},
                    {"Name": "min_child_weight", "MinValue": "1", "MaxValue": "9"},
                ],
                "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5"}],
            },
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": STATIC,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": CHANNELS,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        },
    }


@pytest.fixture
def data(world: World) -> None:
    for channel in CHANNELS:
        folder = world.objects.path(channel["DataSource"]["S3DataSource"]["S3Uri"])  # type: ignore[index]
        folder.mkdir(parents=True)
        (folder / "abalone.libsvm").write_text("1 1:2\n")


POINT = {"max_depth": 7, "min_child_weight": 4, "eta": 0.1015727388941435}


@pytest.fixture
def observed(world: World, data: None) -> str:
    """The name of the observed job after its 20 training jobs; the first is the best."""
    uid = world.create(observed_request())
    world.run(uid, POINT, "validation:rmse", 4.5, 2.91488)
    for value in range(19):
        world.run(uid, POINT, "validation:rmse", 3.0 + value)
    return world.job(uid).name


def test_the_shape_observed_in_2020(world: World, observed: str) -> None:
    told = world.describe(observed)
    del told["BestTrainingJob"], told["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    ended = world.job(world.store.find(observed, tuning=True)).ended
    request = observed_request()
    sent = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    lists = ("IntegerParameterRanges", "ContinuousParameterRanges")
    scaled = {kind: [{**body, "ScalingType": "Auto"} for body in sent[kind]] for kind in lists}
    assert told == {
        "HyperParameterTuningJobName": observed,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/{observed}",
        "HyperParameterTuningJobConfig": {
            **request["HyperParameterTuningJobConfig"],
            "ParameterRanges": {**scaled, "CategoricalParameterRanges": []},
            "TrainingJobEarlyStoppingType": "Off",
        },
        "TrainingJobDefinition": {
            **request["TrainingJobDefinition"],
            "StaticHyperParameters": {**STATIC, "_tuning_objective_metric": "validation:rmse"},
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
        },
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": START,
        "HyperParameterTuningEndTime": ended,
        "LastModifiedTime": ended,
        "TrainingJobStatusCounters": {
            "Completed": 20,
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": 0,
            "Stopped": 0,
        },
        "ObjectiveStatusCounters": {"Succeeded": 20, "Pending": 0, "Failed": 0},
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": 19},
        "ConsumedResources": {"RuntimeInSeconds": int((ended or 0) - START)},
    }
    assert list(told["HyperParameterTuningJobConfig"]["ParameterRanges"])[:2] == list(lists)


def test_a_built_in_brings_its_metrics(world: World, observed: str) -> None:
    definitions = world.describe(observed)["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    named = {entry["Name"]: entry["Regex"] for entry in definitions}
    assert len(definitions) == len(named) > 30
    assert list(named)[-1] == "ObjectiveMetric" and named["ObjectiveMetric"] == named["validation:rmse"]


def test_a_training_job_shows_its_channels_as_its_tuning_job_does(world: World, data: None) -> None:
    request = observed_request()
    bare = [
        {
            "ChannelName": channel["ChannelName"],
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
        }
        for channel in CHANNELS
        for uri in [channel["DataSource"]["S3DataSource"]["S3Uri"]]  # type: ignore[index]
    ]
    uid = world.create(changed(request, "TrainingJobDefinition.InputDataConfig", bare))
    world.propose(uid, POINT)
    told = world.describe(world.job(uid).name)["TrainingJobDefinition"]["InputDataConfig"]
    child = world.ok("DescribeTrainingJob", {"TrainingJobName": world.job(uid).live[1].name})
    assert child["InputDataConfig"] == told == [{k: v for k, v in c.items() if k != "ContentType"} for c in CHANNELS]
    assert child["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is False


def test_a_plain_training_job_shows_what_was_sent(world: World, data: None) -> None:
    source = {**CHANNELS[0]["DataSource"]["S3DataSource"], "InstanceGroupNames": ["g"]}  # type: ignore[index]
    groups = [{"InstanceGroupName": "g", "InstanceType": "ml.m5.large", "InstanceCount": 1}]
    sent = {
        "AlgorithmSpecification": {
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "InputDataConfig": [{**CHANNELS[0], "DataSource": {"S3DataSource": source}}],
        "ResourceConfig": {"InstanceGroups": groups, "VolumeSizeInGB": 1},
        "MlflowConfig": {"MlflowResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-ABCDEFGHIJKL"},
        "InfraCheckConfig": {"EnableInfraCheck": True},
    }
    world.ok("CreateTrainingJob", training(**sent, SessionChainingConfig={"EnableSessionTagChaining": True}))
    told = world.ok("DescribeTrainingJob", {"TrainingJobName": "plain"})
    assert {name: told[name] for name in sent} == {
        **sent,
        "AlgorithmSpecification": {**sent["AlgorithmSpecification"], "MetricDefinitions": []},  # type: ignore[dict-item]
    }
    assert "SessionChainingConfig" not in told, "DescribeTrainingJob's shape has no such member"


def test_the_best_job_as_observed_in_2020(world: World, observed: str) -> None:
    best = world.describe(observed)["BestTrainingJob"]
    name = best["TrainingJobName"]
    assert name.startswith(f"{observed}-001-")
    assert {key: value for key, value in best.items() if not key.endswith("Time")} == {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}",
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"eta": "0.1015727388941435", "max_depth": "7", "min_child_weight": "4"},
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation:rmse", "Value": 2.9148800373077393},
        "ObjectiveStatus": "Succeeded",
    }
    assert best["CreationTime"] < best["TrainingStartTime"] < best["TrainingEndTime"]


def test_built_in_patterns_read_both_spellings_of_a_tab() -> None:
    from tunewright.aws.sagemaker.builtin import metrics_of
    from tunewright.control.metrics import try_pattern

    pattern = next(metric.regex for metric in metrics_of("xgboost") if metric.name == "validation:rmse")
    for tab in ("\t", "#011"):
        line = f"[12]{tab}train-rmse:1.5{tab}validation-rmse:1.25e-1{tab}validation-rmsle:9\n"
        assert [found.value for _, found in try_pattern(pattern, line.encode())] == [0.125]


def test_the_tuning_form_of_resources_comes_back_as_resource_config(world: World) -> None:
    flat = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
    request = changed(tuning(), "TrainingJobDefinition.ResourceConfig", None)
    uid = world.create(changed(request, "TrainingJobDefinition.HyperParameterTuningResourceConfig", flat))
    told = world.describe("job")["TrainingJobDefinition"]
    assert told["ResourceConfig"] == flat and "HyperParameterTuningResourceConfig" not in told
    assert world.job(uid).spec.definitions[0].training.instance_count == 2


def test_a_list_of_instances_comes_back_as_given(world: World) -> None:
    configs = {
        "AllocationStrategy": "Prioritized",
        "InstanceConfigs": [{"InstanceType": "ml.c5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}],
    }
    request = changed(tuning(), "TrainingJobDefinition.ResourceConfig", None)
    uid = world.create(changed(request, "TrainingJobDefinition.HyperParameterTuningResourceConfig", configs))
    told = world.describe("job")["TrainingJobDefinition"]
    assert told["HyperParameterTuningResourceConfig"] == configs and "ResourceConfig" not in told
    assert world.job(uid).spec.definitions[0].training.instance_type == "ml.c5.large"


def test_what_describe_drops_and_keeps(world: World) -> None:
    request = changed(tuning(RandomSeed=7), "TrainingJobDefinition.OutputDataConfig.CompressionType", "NONE")
    request = changed(request, "TrainingJobDefinition.StoppingCondition.MaxPendingTimeInSeconds", 7200)
    criteria = {
        "TargetObjectiveMetricValue": 0.99,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    request = changed(request, "HyperParameterTuningJobConfig.TuningJobCompletionCriteria", criteria)
    request["Tags"] = [{"Key": "team", "Value": "blue"}]
    spec = world.job(world.create(request)).spec
    told = world.describe("job")
    assert told["TrainingJobDefinition"]["OutputDataConfig"] == {"S3OutputPath": "s3://bucket/out"}
    assert told["TrainingJobDefinition"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert told["HyperParameterTuningJobConfig"]["RandomSeed"] == 7
    assert told["HyperParameterTuningJobConfig"]["TuningJobCompletionCriteria"] == criteria
    assert "Tags" not in told
    assert (spec.completion.target, spec.completion.not_improving, spec.completion.on_convergence) == (0.99, 3, True)
    assert spec.definitions[0].training.compression == "NONE"


def test_a_named_algorithm_comes_back_as_an_arn(world: World) -> None:
    request = observed_request()
    del request["TrainingJobDefinition"]["InputDataConfig"]
    request["TrainingJobDefinition"]["AlgorithmSpecification"] = {
        "AlgorithmName": "xgboost",
        "TrainingInputMode": "File",
    }
    world.create(request)
    told = world.describe(request["HyperParameterTuningJobName"])
    assert told["TrainingJobDefinition"]["AlgorithmSpecification"]["AlgorithmName"] == (
        "arn:aws:sagemaker:us-east-1:000000000000:algorithm/xgboost"
    )


def test_the_list_form_stays_a_list(world: World) -> None:
    uid = world.create(several(listed("one"), listed("two", StaticHyperParameters={"b": "1"})))
    told = world.describe("job")
    assert "TrainingJobDefinition" not in told
    assert [body["DefinitionName"] for body in told["TrainingJobDefinitions"]] == ["one", "two"]
    assert "ParameterRanges" not in told["HyperParameterTuningJobConfig"]
    first = told["TrainingJobDefinitions"][0]
    assert first["HyperParameterRanges"]["ContinuousParameterRanges"][0]["ScalingType"] == "Auto"
    assert told["TrainingJobDefinitions"][1]["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
    world.propose(uid, {"lr": 0.01}, definition=1)
    world.launch(uid, 1)
    world.report(uid, 1, "loss", 0.5)
    world.exit(uid, 1)
    best = world.describe("job")["BestTrainingJob"]
    assert best["TrainingJobDefinitionName"] == "two"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Type"] == "Minimize"


def test_a_failed_job_says_why(world: World) -> None:
    request = changed(tuning(), "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs", 20)
    uid = world.create(request)
    for _ in range(5):
        world.run(uid, {"lr": 0.01}, "loss", code=1)
    told = world.describe("job")
    assert told["HyperParameterTuningJobStatus"] == "Failed"
    assert told["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert told["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert told["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 5}
    assert "BestTrainingJob" not in told


def test_counters_of_live_jobs_and_running_time(world: World) -> None:
    uid = world.create(tuning())
    world.propose(uid, {"lr": 0.01}, {"lr": 0.02})
    world.launch(uid, 1)
    told = world.describe("job")
    assert told["TrainingJobStatusCounters"]["InProgress"] == 2
    assert told["ObjectiveStatusCounters"]["Pending"] == 2
    before = told["ConsumedResources"]["RuntimeInSeconds"]
    world.tick(100)
    assert world.describe("job")["ConsumedResources"]["RuntimeInSeconds"] == before + 100


def test_infinite_values_never_reach_the_wire(world: World) -> None:
    request = tuning(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "loss"})
    uid = world.create(request)
    world.run(uid, {"lr": 0.01}, "loss", float("inf"))
    world.run(uid, {"lr": 0.02}, "loss", float("nan"))
    world.run(uid, {"lr": 0.03}, "loss", 1e300)
    told = world.describe("job")
    assert told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 3.4028234663852886e38
    assert told["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 2}
    listed = world.ok("ListTrainingJobsForHyperParameterTuningJob", {"HyperParameterTuningJobName": "job"})
    for summary in listed["TrainingJobSummaries"]:
        trial = world.ok("DescribeTrainingJob", {"TrainingJobName": summary["TrainingJobName"]})
        assert ("FinalMetricDataList" in trial) == (summary["ObjectiveStatus"] == "Succeeded")


AUTO = [
    ("max_depth", "4", "IntegerParameterRanges", ("2", "8", "Linear")),
    ("trees", "100", "IntegerParameterRanges", ("50", "200", "Logarithmic")),
    ("learning_rate", "0.3", "ContinuousParameterRanges", ("0.03", "1.0", "Logarithmic")),
    ("gamma", "0.5", "ContinuousParameterRanges", ("0.05", "5.0", "Logarithmic")),
]


@pytest.mark.parametrize(("name", "hint", "kind", "expected"), AUTO)
def test_autotune_turns_hints_into_ranges(
    world: World, name: str, hint: str, kind: str, expected: tuple[str, str, str]
) -> None:
    request = tuning(ParameterRanges={"AutoParameters": [{"Name": name, "ValueHint": hint}]}, Strategy="Bayesian")
    request["Autotune"] = {"Mode": "Enabled"}
    request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {"MaxParallelTrainingJobs": 1}
    world.create(request)
    told = world.describe("job")
    config = told["HyperParameterTuningJobConfig"]
    [body] = config["ParameterRanges"][kind]
    assert (body["MinValue"], body["MaxValue"], body["ScalingType"]) == expected
    assert "AutoParameters" not in config["ParameterRanges"]
    assert told["Autotune"] == {"Mode": "Enabled"}
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["TuningJobCompletionCriteria"] == {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
    assert told["TrainingJobDefinition"]["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert config["ResourceLimits"]["MaxNumberOfTrainingJobs"] == (7 if name == "max_depth" else 30)


def test_autotune_changes_nothing_that_was_given(world: World) -> None:
    hints = [{"Name": n, "ValueHint": h} for n, h in (("lr", "5"), ("flag", "true"), ("mode", "fast"))]
    body = {**ranges(), "AutoParameters": hints}
    request = tuning(ParameterRanges=body, TrainingJobEarlyStoppingType="Off")
    request["Autotune"] = {"Mode": "Enabled"}
    world.create(request)
    told = world.describe("job")
    config = told["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"]["ContinuousParameterRanges"][0]["MaxValue"] == "0.1"
    assert config["ParameterRanges"]["CategoricalParameterRanges"] == [{"Name": "flag", "Values": ["true", "false"]}]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 4
    assert told["TrainingJobDefinition"]["StaticHyperParameters"]["mode"] == "fast"


def test_autotune_leaves_the_toolkits_settings_alone(world: World) -> None:
    """SDK v2 sends its own `sagemaker_` hyperparameters as hints like any other."""
    toolkit = {"sagemaker_container_log_level": "20", "sagemaker_mpi_num_of_processes_per_host": "4"}
    hints = [{"Name": name, "ValueHint": hint} for name, hint in {**toolkit, "depth": "4"}.items()]
    request = tuning(ParameterRanges={"AutoParameters": hints}, Strategy="Bayesian")
    request["Autotune"] = {"Mode": "Enabled"}
    world.create(request)
    told = world.describe("job")
    lists = told["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert [body["Name"] for kind in lists.values() for body in kind] == ["depth"]
    assert toolkit.items() <= told["TrainingJobDefinition"]["StaticHyperParameters"].items()


def test_autotune_chooses_a_built_ins_objective(world: World) -> None:
    request = observed_request()
    del request["TrainingJobDefinition"]["InputDataConfig"]
    config = request["HyperParameterTuningJobConfig"]
    del config["HyperParameterTuningJobObjective"]
    config["ParameterRanges"] = {"AutoParameters": [{"Name": "eta", "ValueHint": "0.1"}]}
    request["Autotune"] = {"Mode": "Enabled"}
    world.create(request)
    told = world.describe(request["HyperParameterTuningJobName"])["HyperParameterTuningJobConfig"]
    assert told["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "validation:rmse"}


def test_hints_without_autotune_are_static(world: World) -> None:
    body = {**ranges(), "AutoParameters": [{"Name": "depth", "ValueHint": "4"}]}
    spec = world.job(world.create(tuning(ParameterRanges=body))).spec
    assert spec.definitions[0].training.static == {"depth": "4", "epochs": "3"}


def test_autotune_chooses_a_built_ins_ranges(world: World) -> None:
    """Nothing but an image and a time is named: objective, ranges and budget are all Autotune's."""
    request = observed_request()
    del request["TrainingJobDefinition"]["InputDataConfig"]
    limits = {"MaxParallelTrainingJobs": 1}
    request["HyperParameterTuningJobConfig"] = {"Strategy": "Bayesian", "ResourceLimits": limits}
    request["Autotune"] = {"Mode": "Enabled"}
    world.create(request)
    told = world.describe(request["HyperParameterTuningJobName"])["HyperParameterTuningJobConfig"]
    tuned = {body["Name"] for kind in told["ParameterRanges"].values() for body in kind}
    assert {"eta", "max_depth", "alpha"} <= tuned
    assert not tuned & set(STATIC), "what is given stays as it is"
    assert told["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 20 + 10 * len(tuned)


def test_autotune_has_no_ranges_for_an_image_it_does_not_know(world: World) -> None:
    request = tuning(ParameterRanges=None)
    del request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    request["Autotune"] = {"Mode": "Enabled"}
    assert "nothing to tune" in world.refused("CreateHyperParameterTuningJob", request)[1]


def test_a_list_of_one_is_described_as_a_list(world: World) -> None:
    uid = world.create(several(listed("a")))
    told = world.describe("job")
    assert "ParameterRanges" not in told["HyperParameterTuningJobConfig"]
    assert len(told["TrainingJobDefinitions"][0]["HyperParameterRanges"]) == 3
    world.run(uid, {"lr": 0.01}, "loss", 0.5)
    best = world.describe("job")["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Type"] == "Minimize"
    assert best["TrainingJobDefinitionName"]


def test_what_has_no_number_of_training_jobs_has_none_after_resuming(world: World) -> None:
    limits = {"MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 3600}
    uid = world.create(tuning(ResourceLimits=limits), strict=False)
    world.recorder.record(uid, [StopAsked(world.tick())])
    world.recorder.record(uid, [Resumed(world.tick(), 3)])
    assert world.job(uid).added == 3
    assert world.describe("job", strict=False)["HyperParameterTuningJobConfig"]["ResourceLimits"] == limits
    summaries = world.ok("ListHyperParameterTuningJobs", {}, strict=False)["HyperParameterTuningJobSummaries"]
    assert summaries[0]["ResourceLimits"] == limits
