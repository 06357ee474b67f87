"""The operations on the store: lists, training jobs, stopping, deleting, tags, tokens, unknown things."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from .test_aws_rules import CATEGORICAL, CREATE, of_ranges
from .world import ROLE, START, World, changed, training, tuning

LIST = "ListHyperParameterTuningJobs"
CHILDREN = "ListTrainingJobsForHyperParameterTuningJob"


def names(answer: dict[str, Any], kind: str = "HyperParameterTuningJob") -> list[str]:
    summaries = answer.get("HyperParameterTuningJobSummaries", answer.get("TrainingJobSummaries"))
    return [summary[f"{kind}Name"] for summary in summaries or ()]


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:000000000000:{kind}/{name.lower()}"


# ---- tuning jobs ----


def test_lists_filter_sort_and_page(world: World) -> None:
    for name in ("b", "A", "c", "other"):
        world.create(tuning(name))
        world.tick(10)
    assert names(world.ok(LIST, {})) == ["A", "b", "c", "other"]
    assert names(world.ok(LIST, {"SortBy": "CreationTime", "SortOrder": "Descending"})) == ["other", "c", "A", "b"]
    assert names(world.ok(LIST, {"NameContains": "the"})) == ["other"]
    assert names(world.ok(LIST, {"CreationTimeAfter": START + 15})) == ["c", "other"]
    assert names(world.ok(LIST, {"CreationTimeBefore": START + 5})) == ["b"]
    assert names(world.ok(LIST, {"StatusEquals": "Completed"})) == []
    assert names(world.ok(LIST, {"StatusEquals": "Deleting"})) == []
    page = world.ok(LIST, {"MaxResults": 3})
    assert names(page) == ["A", "b", "c"]
    last = world.ok(LIST, {"MaxResults": 3, "NextToken": page["NextToken"]})
    assert names(last) == ["other"] and "NextToken" not in last
    summary = world.ok(LIST, {"NameContains": "A"})["HyperParameterTuningJobSummaries"][0]
    assert summary["Strategy"] == "Random" and summary["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 4
    assert set(summary["TrainingJobStatusCounters"]) == {
        "Completed",
        "InProgress",
        "RetryableError",
        "NonRetryableError",
        "Stopped",
    }


@pytest.mark.parametrize("token", ["x", "", "bnVsbA==", "WzEsMl0=", "é", "a" * 8192])
def test_a_token_that_is_none_is_refused(world: World, token: str) -> None:
    code, message = world.refused(LIST, {"NextToken": token})
    assert code == "ValidationException" and "nextToken" in message


def test_a_token_belongs_to_its_question(world: World) -> None:
    for name in ("a", "b"):
        world.create(tuning(name))
    token = world.ok(LIST, {"MaxResults": 1})["NextToken"]
    assert names(world.ok(LIST, {"MaxResults": 5, "NextToken": token})) == ["b"]
    for other in ({"SortOrder": "Descending"}, {"NameContains": "a"}):
        world.refused(LIST, {**other, "NextToken": token})
    world.refused("ListTrainingJobs", {"NextToken": token})


def test_children_are_listed_by_objective_and_those_without_are_left_out(world: World) -> None:
    uid = world.create(changed(tuning(), "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs", 9))
    for value in (3.0, 1.0, 2.0):
        world.run(uid, {"lr": 0.01}, "loss", value)
    world.run(uid, {"lr": 0.05}, "loss", code=1)
    world.propose(uid, {"lr": 0.06})
    job = {"HyperParameterTuningJobName": "JOB"}
    every = world.ok(CHILDREN, job)["TrainingJobSummaries"]
    assert [summary["TrainingJobName"][:8] for summary in every] == [f"job-00{n}-" for n in range(1, 6)]
    assert [summary["TrainingJobStatus"] for summary in every] == ["Completed"] * 3 + ["Failed", "InProgress"]
    assert [summary["ObjectiveStatus"] for summary in every] == ["Succeeded"] * 3 + ["Failed", "Pending"]
    assert every[3]["FailureReason"] == "AlgorithmError: Exit Code: 1"
    assert every[3]["TunedHyperParameters"] == {"lr": "0.05"}
    assert "TrainingStartTime" not in every[4] and "TuningJobName" not in every[0]
    sorted_ = world.ok(CHILDREN, {**job, "SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending"})
    values = [s["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for s in sorted_["TrainingJobSummaries"]]
    assert values == [3.0, 2.0, 1.0]
    running = world.ok(CHILDREN, {**job, "StatusEquals": "InProgress"})
    assert names(running, "TrainingJob") == [every[4]["TrainingJobName"]]


def test_stop_and_delete_of_a_tuning_job(world: World) -> None:
    uid = world.create(tuning())
    world.propose(uid, {"lr": 0.01})
    world.launch(uid, 1)
    job = {"HyperParameterTuningJobName": "job"}
    code, message = world.refused("DeleteHyperParameterTuningJob", job)
    assert code == "ValidationException" and "not in a terminal state" in message
    world.ok("StopHyperParameterTuningJob", job)
    assert world.describe("job")["HyperParameterTuningJobStatus"] == "Stopping"
    code, message = world.refused("StopHyperParameterTuningJob", job)
    assert code == "ValidationException" and "already in status Stopping" in message
    world.exit(uid, 1, 143, killed=True)
    assert world.describe("job")["HyperParameterTuningJobStatus"] == "Stopped"
    assert "already in status Stopped" in world.refused("StopHyperParameterTuningJob", job)[1]
    child = names(world.ok(CHILDREN, job), "TrainingJob")[0]
    world.ok("DeleteHyperParameterTuningJob", job)
    for operation in ("DescribeHyperParameterTuningJob", "DeleteHyperParameterTuningJob", CHILDREN):
        code, message = world.refused(operation, job)
        assert code == "ResourceNotFound"
        assert message == "Amazon SageMaker can't find a tuning job called job. Type another name."
    kept = world.ok("DescribeTrainingJob", {"TrainingJobName": child})
    assert kept["TuningJobArn"] == arn("hyper-parameter-tuning-job", "job")
    world.ok(CREATE, tuning())


def test_names_do_not_regard_case(world: World) -> None:
    world.create(tuning("MyJob"))
    code, message = world.refused(CREATE, tuning("MYJOB"))
    assert (code, message) == (
        "ResourceInUse",
        "A hyperparameter tuning job with the name, MYJOB, already exists. Choose a different name.",
    )


def test_strict_and_extended_share_a_store(world: World) -> None:
    world.create(of_ranges(CATEGORICAL, 100), strict=False)
    assert world.describe("job", strict=True)["HyperParameterTuningJobStatus"] == "InProgress"
    world.ok("StopHyperParameterTuningJob", {"HyperParameterTuningJobName": "job"}, strict=True)


# ---- training jobs ----


def test_a_child_is_described_as_a_training_job(world: World) -> None:
    request = changed(tuning(), "TrainingJobDefinition.Environment", {"A": "1"})
    request = changed(request, "TrainingJobDefinition.StaticHyperParameters", {"epochs": "3", "name": '"resnet"'})
    request = changed(request, "TrainingJobDefinition.CheckpointConfig", {"S3Uri": "s3://bucket/checks"})
    uid = world.create(request)
    world.propose(uid, {"lr": 0.01})
    world.launch(uid, 1)
    name = world.job(uid).live[1].name
    running = world.ok("DescribeTrainingJob", {"TrainingJobName": name})
    assert running["TrainingJobStatus"] == "InProgress" and running["SecondaryStatus"] == "Training"
    assert "EndTime" not in running["SecondaryStatusTransitions"][-1]
    assert running["ModelArtifacts"] == {"S3ModelArtifacts": ""}
    world.report(uid, 1, "loss", 0.9, 0.5)
    world.exit(uid, 1)
    told = world.ok("DescribeTrainingJob", {"TrainingJobName": name.upper()})
    assert told["TrainingJobName"] == name and told["TrainingJobArn"] == arn("training-job", name)
    assert told["TuningJobArn"] == arn("hyper-parameter-tuning-job", "job")
    assert told["HyperParameters"] == {
        "epochs": "3",
        "name": '"resnet"',
        "lr": "0.01",
        "_tuning_objective_metric": "loss",
    }
    assert told["Environment"] == {"A": "1"} and told["RoleArn"] == ROLE
    assert told["OutputDataConfig"] == {"KmsKeyId": "", "S3OutputPath": "s3://bucket/out"}
    assert told["CheckpointConfig"] == {"S3Uri": "s3://bucket/checks"}
    assert told["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://bucket/out/{name}/output/model.tar.gz"
    metrics = {entry["MetricName"]: entry["Value"] for entry in told["FinalMetricDataList"]}
    assert metrics == {"loss": 0.5, "ObjectiveMetric": 0.5}
    rows = told["SecondaryStatusTransitions"]
    assert [row["Status"] for row in rows] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    for row, following in itertools.pairwise(rows):
        assert row["EndTime"] == following["StartTime"]
    assert [row["StatusMessage"] for row in rows] == [
        "Preparing the instances for training",
        "Downloading input data",
        "Training image download completed. Training in progress.",
        "Uploading generated training model",
        "Training job completed",
    ]
    assert rows[-1]["EndTime"] == rows[-1]["StartTime"] == told["TrainingEndTime"]
    assert told["TrainingStartTime"] == rows[1]["StartTime"]
    assert told["TrainingTimeInSeconds"] == told["BillableTimeInSeconds"] == 4
    assert "FailureReason" not in told


def test_an_extension_does_not_reach_the_program(world: World) -> None:
    request = changed(tuning(), "TrainingJobDefinition.StaticHyperParameters", {"_tunewright": '{"cpus": 2}'})
    uid = world.create(request, strict=False)
    world.propose(uid, {"lr": 0.01})
    told = world.ok("DescribeTrainingJob", {"TrainingJobName": world.job(uid).live[1].name})
    assert told["HyperParameters"] == {"lr": "0.01", "_tuning_objective_metric": "loss"}
    static = world.describe("job")["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["_tunewright"] == '{"cpus": 2}'


def test_strings_pass_untouched(world: World) -> None:
    body = {"CategoricalParameterRanges": [{"Name": "opt", "Values": ['"sgd"', '"adam"', "plain"]}]}
    request = changed(of_ranges(body), "TrainingJobDefinition.StaticHyperParameters", {"name": "resnet", "t": "a b"})
    uid = world.create(request)
    world.propose(uid, {"opt": '"adam"'})
    trial = world.job(uid).live[1]
    spec = world.job(uid).spec.definitions[0]
    assert spec.training.static == {"name": "resnet", "t": "a b"}
    assert spec.space.texts(trial.point) == {"opt": '"adam"'}


def test_a_plain_training_job(world: World) -> None:
    request = training(
        "Plain-1",
        HyperParameters={"a": "1"},
        Environment={"B": "2"},
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", "true"],
            "MetricDefinitions": [{"Name": "m", "Regex": "m=(.*)"}],
        },
    )
    answer = world.ok("CreateTrainingJob", request)
    assert answer == {"TrainingJobArn": arn("training-job", "plain-1")}
    uid = world.store.find("plain-1", tuning=False)
    training_spec = world.job(uid).spec.definitions[0].training
    assert (training_spec.entrypoint, training_spec.arguments) == (("/bin/bash",), ("-c", "true"))
    code, message = world.refused("CreateTrainingJob", request)
    assert code == "ResourceInUse" and arn("training-job", "plain-1") in message
    world.launch(uid, 1)
    world.report(uid, 1, "m", 2.0)
    world.exit(uid, 1)
    told = world.ok("DescribeTrainingJob", {"TrainingJobName": "Plain-1"})
    assert "TuningJobArn" not in told
    assert told["HyperParameters"] == {"a": "1"} and told["Environment"] == {"B": "2"}
    assert told["AlgorithmSpecification"]["ContainerArguments"] == ["-c", "true"]
    assert [entry["MetricName"] for entry in told["FinalMetricDataList"]] == ["m"]
    assert names(world.ok(LIST, {})) == []


def test_stop_and_delete_of_training_jobs(world: World) -> None:
    for operation in ("DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"):
        assert world.refused(operation, {"TrainingJobName": "nope"}) == (
            "ValidationException",
            "Requested resource not found.",
        )
    world.ok("CreateTrainingJob", training())
    uid = world.store.find("plain", tuning=False)
    plain = {"TrainingJobName": "plain"}
    assert world.refused("DeleteTrainingJob", plain)[0] == "ResourceInUse"
    world.launch(uid, 1)
    world.ok("StopTrainingJob", plain)
    assert world.ok("DescribeTrainingJob", plain)["TrainingJobStatus"] == "Stopping"
    world.exit(uid, 1, 143, killed=True)
    told = world.ok("DescribeTrainingJob", plain)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert world.refused("StopTrainingJob", plain) == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )
    world.ok("DeleteTrainingJob", plain)
    world.refused("DescribeTrainingJob", plain)
    world.ok("CreateTrainingJob", training())


def test_a_child_stops_alone(world: World) -> None:
    uid = world.create(tuning())
    world.propose(uid, {"lr": 0.01}, {"lr": 0.02})
    world.launch(uid, 1)
    child = {"TrainingJobName": world.job(uid).live[1].name}
    world.ok("StopTrainingJob", child)
    world.exit(uid, 1, 143, killed=True)
    assert world.describe("job")["TrainingJobStatusCounters"] == {
        "Completed": 0,
        "InProgress": 1,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 1,
    }


def test_a_child_is_deleted_and_its_tuning_job_goes_on(world: World) -> None:
    uid = world.create(tuning())
    world.propose(uid, {"lr": 0.01}, {"lr": 0.02})
    world.launch(uid, 1)
    child = {"TrainingJobName": world.job(uid).live[1].name}
    code, message = world.refused("DeleteTrainingJob", child)
    assert code == "ResourceInUse" and "is in status InProgress; stop it" in message
    world.ok("StopTrainingJob", child)
    world.exit(uid, 1, 143, killed=True)
    before = world.describe("job")
    world.ok("DeleteTrainingJob", child)
    for operation in ("DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"):
        assert world.refused(operation, child) == ("ValidationException", "Requested resource not found.")
    described = world.describe("job")
    assert described["TrainingJobStatusCounters"] == before["TrainingJobStatusCounters"], "it was launched all the same"
    children = {"HyperParameterTuningJobName": "job"}
    listed = world.ok("ListTrainingJobsForHyperParameterTuningJob", children)["TrainingJobSummaries"]
    assert [summary["TunedHyperParameters"] for summary in listed] == [{"lr": "0.02"}]
    assert len(world.ok("ListTrainingJobs", {})["TrainingJobSummaries"]) == 1
    world.ok("CreateTrainingJob", changed(training(), "TrainingJobName", child["TrainingJobName"]))
    assert "TuningJobArn" not in world.ok("DescribeTrainingJob", child)


def test_the_best_that_was_deleted_is_shown_no_more(world: World) -> None:
    uid = world.create(tuning())
    world.run(uid, {"lr": 0.01}, "loss", 1.0)
    best = world.describe("job")["BestTrainingJob"]["TrainingJobName"]
    world.ok("DeleteTrainingJob", {"TrainingJobName": best})
    assert "BestTrainingJob" not in world.describe("job")
    world.ok("CreateTrainingJob", changed(training(), "TrainingJobName", best))
    assert "BestTrainingJob" not in world.describe("job"), "another has its name"


def test_list_training_jobs_takes_the_page_before_the_status(world: World) -> None:
    uid = world.create(changed(tuning(), "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs", 9))
    for number in range(6):
        world.run(uid, {"lr": 0.01}, "loss", 1.0, code=number % 2)
    every = world.ok("ListTrainingJobs", {})
    assert len(names(every, "TrainingJob")) == 6
    assert every["TrainingJobSummaries"][0]["SecondaryStatus"] == "Completed"
    page = world.ok("ListTrainingJobs", {"MaxResults": 3, "StatusEquals": "Failed"})
    assert len(names(page, "TrainingJob")) == 2 and page["NextToken"]
    more = world.ok("ListTrainingJobs", {"MaxResults": 3, "StatusEquals": "Failed", "NextToken": page["NextToken"]})
    assert len(names(more, "TrainingJob")) == 1 and "NextToken" not in more
    assert len(names(world.ok("ListTrainingJobs", {"StatusEquals": "Failed"}), "TrainingJob")) == 3
    assert names(world.ok("ListTrainingJobs", {"WarmPoolStatusEquals": "Available"}), "TrainingJob") == []


# ---- tags ----


def test_tags_are_inherited_by_children_launched_afterwards(world: World) -> None:
    request = {**tuning("Job"), "Tags": [{"Key": "team", "Value": "blue"}]}
    uid = world.create(request)
    world.propose(uid, {"lr": 0.01})
    job = arn("hyper-parameter-tuning-job", "Job")
    added = world.ok(
        "AddTags", {"ResourceArn": job, "Tags": [{"Key": "team", "Value": "red"}, {"Key": "x", "Value": ""}]}
    )
    assert {tag["Key"]: tag["Value"] for tag in added["Tags"]} == {"team": "red", "x": ""}
    world.propose(uid, {"lr": 0.02})
    world.ok("DeleteTags", {"ResourceArn": job, "TagKeys": ["x", "unheard"]})
    live = world.job(uid).live

    def tags(resource: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in world.ok("ListTags", {"ResourceArn": resource})["Tags"]}

    assert tags(job) == {"team": "red"}
    assert tags(arn("training-job", live[1].name)) == {"team": "blue"}
    assert tags(arn("training-job", live[2].name)) == {"team": "red", "x": ""}


def test_tags_of_what_is_not_there(world: World) -> None:
    assert world.refused("ListTags", {"ResourceArn": arn("hyper-parameter-tuning-job", "no")})[0] == "ResourceNotFound"
    assert world.refused("ListTags", {"ResourceArn": arn("training-job", "no")})[0] == "ValidationException"
    code, message = world.refused("ListTags", {"ResourceArn": arn("endpoint", "no")})
    assert code == "ValidationException" and "resourceArn" in message


def test_a_job_has_at_most_fifty_tags(world: World) -> None:
    world.create({**tuning(), "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(50)]})
    job = arn("hyper-parameter-tuning-job", "job")
    world.ok("AddTags", {"ResourceArn": job, "Tags": [{"Key": "k1", "Value": "new"}]})
    code, _ = world.refused("AddTags", {"ResourceArn": job, "Tags": [{"Key": "one more", "Value": ""}]})
    assert code == "ResourceLimitExceeded"


# ---- the rest ----


@pytest.mark.parametrize("operation", ["CreateEndpoint", "Search", "MadeUp", ""])
def test_other_operations_are_told_to_be_unsupported(world: World, operation: str) -> None:
    code, message = world.refused(operation, {})
    assert code == "UnknownOperationException"
    assert operation in message


def test_a_bug_is_an_internal_failure_that_tells_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(query: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(world.reads, "jobs", broken)
    status, body = world.call(LIST, {})
    assert (status, body["__type"]) == (500, "InternalFailure")
    assert "secret" not in body["message"]
    assert "secret detail" in caplog.text


def test_who_wants_to_deploy_is_told_where_the_model_lies(world: World) -> None:
    request: dict[str, Any] = {"ModelName": "m", "PrimaryContainer": {"ModelDataUrl": "s3://bucket/model.tar.gz"}}
    code, text = world.refused("CreateModel", request)
    assert code == "UnknownOperationException" and text.endswith("The model lies at s3://bucket/model.tar.gz.")
    for other in ({"ModelName": "m"}, {"PrimaryContainer": 1}, {"PrimaryContainer": {"ModelDataUrl": {}}}):
        assert world.refused("CreateModel", other)[1].endswith("has no hosting.")
