"""Rows 1 to 10, 66 to 68 and 83 to 85 of the features, over HTTP with boto3."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aws.test_aws_describe import observed_request
from aws.test_aws_rules import listed, several
from aws.world import tuning
from botocore.exceptions import ClientError
from features.test_requests import breaches

from tunewright.aws.sagemaker.protocol import operation_model

from .conftest import WRITER, Server, served

PREFIX = "arn:aws:sagemaker:eu-west-1:000000000000"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from served(tmp_path / "home")


@pytest.fixture
def sagemaker(server: Server) -> Any:
    return server.client("sagemaker")


def refused(call: Callable[[], object], code: str = "ValidationException") -> str:
    """The message with which a call is refused."""
    with pytest.raises(ClientError) as error:
        call()
    told = error.value.response["Error"]
    assert told["Code"] == code, told
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(told["Message"])


def post(server: Server, operation: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """A request as it is on the wire: status, headers and body of the answer."""
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url, body, headers)) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def finished(server: Server, name: str, *values: float | None) -> str:
    """A tuning job created by boto3 whose training jobs have run: each emits a value, or fails."""
    request = tuning(name)
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = len(values)
    server.client("sagemaker").create_hyper_parameter_tuning_job(**request)
    uid = server.world.store.find(name, tuning=True)
    for number, value in enumerate(values):
        point = {"lr": 0.01 + number / 1000}
        if value is None:
            server.world.run(uid, point, "loss", code=1)
        else:
            server.world.run(uid, point, "loss", value)
    return uid


def pages(client: Any, operation: str, key: str, size: int, **asked: Any) -> list[Any]:
    found = client.get_paginator(operation).paginate(**asked, PaginationConfig={"PageSize": size})
    return [item for page in found for item in page[key]]


def test_row_01_any_client_by_its_endpoint_alone(any_server: Server) -> None:
    client = any_server.client("sagemaker", WRITER)
    name = f"round-{any_server.port}"
    arn = client.create_hyper_parameter_tuning_job(**tuning(name))["HyperParameterTuningJobArn"]
    told = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert (told["HyperParameterTuningJobArn"], told["HyperParameterTuningJobStatus"]) == (arn, "InProgress")
    [summary] = client.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert summary["HyperParameterTuningJobArn"] == arn
    stopped = client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert set(stopped) == {"ResponseMetadata"}, "an empty body"
    told = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert told["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")


def test_row_02_errors_in_the_body(server: Server, sagemaker: Any) -> None:
    text = "Amazon SageMaker can't find a tuning job called nobody. Type another name."
    with pytest.raises(sagemaker.exceptions.ResourceNotFound) as error:
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nobody")
    assert error.value.response["Error"]["Message"] == error.value.response["Message"] == text
    asked = b'{"HyperParameterTuningJobName": "nobody"}'
    status, headers, body = post(server, "DescribeHyperParameterTuningJob", asked)
    told = json.loads(body)
    assert (status, told["__type"]) == (400, "ResourceNotFound")
    assert told["message"] == told["Message"] == text
    assert headers["content-type"] == "application/x-amz-json-1.1" and headers["x-amzn-requestid"]
    assert json.loads(post(server, "DescribeHyperParameterTuningJob", b"{")[2])["__type"] == "SerializationException"
    assert json.loads(post(server, "NoSuchThing", b"{}")[2])["__type"] == "UnknownOperationException"


def test_row_03_timestamps_and_single_precision(server: Server, sagemaker: Any) -> None:
    server.world.clock.time = float(int(server.world.clock.time)) + 0.022
    before = datetime.fromtimestamp(server.world.clock.time, UTC)
    finished(server, "times", 2.91488)
    told = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="times")
    assert told["CreationTime"] == before and told["CreationTime"].tzinfo is not None
    assert told["HyperParameterTuningEndTime"] == told["LastModifiedTime"] > told["CreationTime"]
    value = told["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert value == float(np.float32(2.91488)) != 2.91488
    sent = json.loads(post(server, "DescribeHyperParameterTuningJob", b'{"HyperParameterTuningJobName": "times"}')[2])
    assert sent["CreationTime"] == before.timestamp(), "seconds as a number"


def test_row_04_arns_in_lower_case(sagemaker: Any) -> None:
    arn = sagemaker.create_hyper_parameter_tuning_job(**tuning("MyJob"))["HyperParameterTuningJobArn"]
    assert arn == f"{PREFIX}:hyper-parameter-tuning-job/myjob"
    assert (
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="MYJOB")[
            "HyperParameterTuningJobName"
        ]
        == "MyJob"
    )


def test_row_05_names_are_unique_whatever_their_case(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("MyJob"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse) as error:
        sagemaker.create_hyper_parameter_tuning_job(**tuning("myjob"))
    text = "A hyperparameter tuning job with the name, myjob, already exists. Choose a different name."
    assert error.value.response["Error"]["Message"] == text


def described(sagemaker: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What Describe says of a request at once after it was accepted."""
    sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    found: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return found


def test_row_06_a_single_definition(sagemaker: Any) -> None:
    told = described(sagemaker, tuning("single"))
    assert "TrainingJobDefinition" in told and "TrainingJobDefinitions" not in told


def test_row_07_a_list_of_definitions(sagemaker: Any) -> None:
    told = described(sagemaker, several(listed("a"), listed("b")))
    assert [body["DefinitionName"] for body in told["TrainingJobDefinitions"]] == ["a", "b"]
    assert "TrainingJobDefinition" not in told and "ParameterRanges" not in told["HyperParameterTuningJobConfig"]
    eleven = several(*(listed(f"d{number}") for number in range(11)))
    assert "'trainingJobDefinitions'" in refused(lambda: sagemaker.create_hyper_parameter_tuning_job(**eleven))


def test_row_08_exactly_one_form(sagemaker: Any) -> None:
    both = {**tuning("both"), "TrainingJobDefinitions": [listed("a")]}
    neither = {name: value for name, value in tuning("neither").items() if name != "TrainingJobDefinition"}
    for request in (both, neither):
        assert "exactly one" in refused(lambda request=request: sagemaker.create_hyper_parameter_tuning_job(**request))


def test_row_09_every_constraint_of_the_model(server: Server) -> None:
    wrong = []
    for path, request in breaches(operation_model("CreateHyperParameterTuningJob").input_shape, "")[::5]:
        status, _, body = post(server, "CreateHyperParameterTuningJob", json.dumps(request).encode())
        text = body.decode()
        if status != 400 or '"__type": "ValidationException"' not in text or f"'{path}'" not in text:
            wrong.append(f"{path}: {text[:300]}")
    assert not wrong, "\n".join(wrong[:20])


def test_row_10_names_of_at_most_32_characters(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("n" * 32))
    message = refused(lambda: sagemaker.create_hyper_parameter_tuning_job(**tuning("n" * 33)))
    assert re.match(r"\d validation errors? detected: Value 'n{33}' at 'hyperParameterTuningJobName'", message)
    assert "failed to satisfy constraint: Member must have length less than or equal to 32" in message


def test_row_66_lists_of_tuning_jobs(server: Server, sagemaker: Any) -> None:
    start = datetime.fromtimestamp(server.world.clock.time, UTC)
    for number, name in enumerate(("job-c", "Job-a", "job-b")):
        server.world.clock.time = start.timestamp() + 100 * (number + 1)
        finished(server, name, 1.0)
    sagemaker.create_hyper_parameter_tuning_job(**tuning("other"))
    operation, key = "list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries"

    def names(**asked: Any) -> list[str]:
        return [job["HyperParameterTuningJobName"] for job in pages(sagemaker, operation, key, 2, **asked)]

    assert names() == ["Job-a", "job-b", "job-c", "other"]
    assert names(SortOrder="Descending") == ["other", "job-c", "job-b", "Job-a"]
    assert names(SortBy="CreationTime") == ["job-c", "Job-a", "job-b", "other"]
    assert names(SortBy="Status") == ["Job-a", "job-b", "job-c", "other"], "Completed before InProgress"
    assert names(NameContains="JOB") == ["Job-a", "job-b", "job-c"]
    assert names(StatusEquals="Completed", NameContains="-b") == ["job-b"]
    assert names(StatusEquals="Deleting") == []
    for field in ("CreationTime", "LastModifiedTime"):
        middle = {f"{field}After": start + timedelta(seconds=150), f"{field}Before": start + timedelta(seconds=250)}
        assert names(**middle) == ["Job-a"]
    page = sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=3)
    rest = sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=3, NextToken=page["NextToken"])
    assert len(page[key]) == 3 and len(rest[key]) == 1 and "NextToken" not in rest
    other = {"NextToken": page["NextToken"], "SortBy": "Status"}
    assert "nextToken" in refused(lambda: sagemaker.list_hyper_parameter_tuning_jobs(**other))
    assert "NextToken" not in sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=4)
    summary = rest[key][0]
    assert {"HyperParameterTuningJobArn", "Strategy", "CreationTime", "ResourceLimits"} <= set(summary)
    assert len(summary["TrainingJobStatusCounters"]) == 5 and len(summary["ObjectiveStatusCounters"]) == 3
    for number in range(8):
        sagemaker.create_hyper_parameter_tuning_job(**tuning(f"more-{number}"))
    assert len(sagemaker.list_hyper_parameter_tuning_jobs()[key]) == 10


def test_row_67_lists_of_the_training_jobs_of_a_tuning_job(server: Server, sagemaker: Any) -> None:
    finished(server, "job", 0.4, None, 0.9, 0.1, 0.7, 0.7, None, 0.2, 0.3, 0.5, 0.6, 0.8)
    operation, key = "list_training_jobs_for_hyper_parameter_tuning_job", "TrainingJobSummaries"

    def listed(**asked: Any) -> list[Any]:
        return pages(sagemaker, operation, key, 5, HyperParameterTuningJobName="JOB", **asked)

    def finals(**asked: Any) -> list[float]:
        found = listed(SortBy="FinalObjectiveMetricValue", **asked)
        return [round(job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"], 3) for job in found]

    assert finals() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9], "those without a value are left out"
    assert finals(SortOrder="Descending") == finals()[::-1]
    assert [job["TrainingJobName"][:7] for job in listed()] == [f"job-{number:03d}" for number in range(1, 13)]
    assert listed(SortBy="CreationTime", SortOrder="Descending") == listed()[::-1]
    failed = listed(StatusEquals="Failed")
    assert [job["ObjectiveStatus"] for job in failed] == ["Failed", "Failed"]
    assert all(job["FailureReason"].startswith("AlgorithmError: ") for job in failed)
    assert listed(StatusEquals="Deleting") == []
    page = getattr(sagemaker, operation)(HyperParameterTuningJobName="job")
    assert len(page[key]) == 10 and page["NextToken"]
    one = page[key][0]
    assert set(one) == {
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
        "TrainingJobStatus",
        "TunedHyperParameters",
        "FinalHyperParameterTuningJobObjectiveMetric",
        "ObjectiveStatus",
    }


def test_row_68_a_page_is_taken_before_it_is_filtered(server: Server, sagemaker: Any) -> None:
    finished(server, "job", *[None if number % 2 else 1.0 for number in range(12)])
    page = sagemaker.list_training_jobs(MaxResults=5, StatusEquals="Failed")
    names = [job["TrainingJobName"][:7] for job in page["TrainingJobSummaries"]]
    assert names == ["job-012", "job-010", "job-008"] and page["NextToken"], "of the newest five"
    found = pages(sagemaker, "list_training_jobs", "TrainingJobSummaries", 5, StatusEquals="Failed")
    assert len(found) == 6
    oldest = sagemaker.list_training_jobs(MaxResults=3, StatusEquals="Failed", SortOrder="Ascending")
    assert [job["TrainingJobName"][:7] for job in oldest["TrainingJobSummaries"]] == ["job-002"]
    assert sagemaker.list_training_jobs(MaxResults=1, StatusEquals="InProgress")["NextToken"], "an empty page"


def test_row_83_quotas(tmp_path: Path, server: Server, sagemaker: Any) -> None:
    request = tuning("wide", ResourceLimits={"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 11})
    message = refused(lambda: sagemaker.create_hyper_parameter_tuning_job(**request), "ResourceLimitExceeded")
    assert "is 10, this request needs 11" in message
    for other in served(tmp_path / "other", quotas="parallel=11,running=1"):
        client = other.client("sagemaker")
        client.create_hyper_parameter_tuning_job(**request)
        with pytest.raises(client.exceptions.ResourceLimitExceeded, match="is 1, this request needs 2"):
            client.create_hyper_parameter_tuning_job(**tuning("second"))


def test_row_84_tags(server: Server, sagemaker: Any) -> None:
    request = {**tuning("tagged"), "Tags": [{"Key": "team", "Value": "blue"}, {"Key": "stage", "Value": ""}]}
    arn = sagemaker.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    uid = server.world.store.find("tagged", tuning=True)

    def tags(of: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=of)["Tags"]}

    def child(number: int) -> str:
        server.world.propose(uid, {"lr": 0.01 * number})
        server.world.launch(uid, number)
        return f"{PREFIX}:training-job/{server.world.job(uid).live[number].name}"

    first = child(1)
    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "red"}, {"Key": "cost", "Value": "é+"}])
    assert {tag["Key"]: tag["Value"] for tag in added["Tags"]} == {"team": "red", "stage": "", "cost": "é+"}
    second = child(2)
    assert tags(first) == {"team": "blue", "stage": ""}
    assert tags(second) == tags(arn) == {"team": "red", "stage": "", "cost": "é+"}
    told = sagemaker.delete_tags(ResourceArn=arn, TagKeys=["stage", "never-there"])
    assert set(told) == {"ResponseMetadata"}
    sagemaker.delete_tags(ResourceArn=second, TagKeys=["team"])
    assert tags(arn) == {"team": "red", "cost": "é+"} and tags(second) == {"stage": "", "cost": "é+"}
    assert "Tags" not in sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="tagged")
    assert [tag["Key"] for tag in pages(sagemaker, "list_tags", "Tags", 50, ResourceArn=arn)] == ["cost", "team"]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    refused(lambda: sagemaker.add_tags(ResourceArn=arn, Tags=many), "ResourceLimitExceeded")
    unknown = f"{PREFIX}:hyper-parameter-tuning-job/nobody"
    refused(lambda: sagemaker.list_tags(ResourceArn=unknown), "ResourceNotFound")
    assert "resourceArn" in refused(lambda: sagemaker.list_tags(ResourceArn=f"{PREFIX}:endpoint/x"))


def test_row_85_what_describe_changes(server: Server, sagemaker: Any) -> None:
    """The order of the three lists, the added definition and defaults, seen on the live service in 2020."""
    request = observed_request()
    del request["TrainingJobDefinition"]["InputDataConfig"]
    sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    body = json.dumps({"HyperParameterTuningJobName": name}).encode()
    told = json.loads(post(server, "DescribeHyperParameterTuningJob", body)[2])
    ranges = told["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert list(ranges) == ["IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges"]
    assert {body["ScalingType"] for kind in list(ranges.values())[:2] for body in kind} == {"Auto"}
    definition = told["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"]["_tuning_objective_metric"] == "validation:rmse"
    metrics = definition["AlgorithmSpecification"]["MetricDefinitions"]
    assert metrics[-1]["Name"] == "ObjectiveMetric" and len(metrics) > 34
    assert [definition[switch] for switch in definition if switch.startswith("Enable")] == [False] * 3
    missing = {"BestTrainingJob", "HyperParameterTuningEndTime", "FailureReason", "TrainingJobDefinitions", "Autotune"}
    assert not missing & set(told), "what there is not is left out, not null"
    assert list(told["TrainingJobStatusCounters"].values()) == [0] * 5
    assert told["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 0}
    assert told["ConsumedResources"]["RuntimeInSeconds"] >= 0
