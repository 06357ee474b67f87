"""SageMaker, logs, metrics and identities by boto3, and what does not exist."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws.world import ROLE, tuning
from botocore.exceptions import ClientError

from tunewright.core.events import Exited
from tunewright.core.trial import Failure

from .conftest import WRITER, Server, served

GROUP = "/aws/sagemaker/TrainingJobs"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from served(tmp_path / "home")


def trained(server: Server, name: str = "job", *values: float) -> str:
    """A tuning job with one training job that ran; the training job's name."""
    uid = server.world.create(tuning(name))
    server.world.propose(uid, {"lr": 0.01})
    server.world.launch(uid, 1)
    for value in values:
        server.world.report(uid, 1, "loss", value)
    return server.world.job(uid).live[1].name


def write(server: Server, name: str, stdout: str = "", stderr: str = "", attempt: int = 1) -> None:
    for path, text in zip(server.log_paths(name, attempt=attempt), (stdout, stderr), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


# ---- SageMaker ----


def test_the_region_of_the_client_is_in_the_arns(server: Server) -> None:
    for region in ("us-east-1", "eu-central-1"):
        client = server.client("sagemaker", region=region)
        arn = client.create_hyper_parameter_tuning_job(**tuning(f"In-{region}"))["HyperParameterTuningJobArn"]
        assert arn == f"arn:aws:sagemaker:{region}:000000000000:hyper-parameter-tuning-job/in-{region}"
        assert (
            client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=f"in-{region}")[
                "HyperParameterTuningJobArn"
            ]
            == arn
        )
    assert len(server.woken) == 2


def test_errors_paginators_and_waiters_are_botocores(server: Server) -> None:
    client = server.client("sagemaker")
    for number in range(5):
        client.create_hyper_parameter_tuning_job(**tuning(f"job-{number}"))
    with pytest.raises(client.exceptions.ResourceInUse):
        client.create_hyper_parameter_tuning_job(**tuning("JOB-3"))
    with pytest.raises(client.exceptions.ResourceNotFound, match="can't find a tuning job called nope"):
        client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nope")
    pages = client.get_paginator("list_hyper_parameter_tuning_jobs").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["HyperParameterTuningJobSummaries"]) for page in pages] == [2, 2, 1]
    name = trained(server, "waited", 0.5)
    server.world.exit(server.world.store.find("waited", tuning=True), 1)
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)


def test_every_answer_has_a_request_id(server: Server) -> None:
    said = server.client("sagemaker").list_training_jobs()["ResponseMetadata"]
    assert len(said["RequestId"]) == 36
    assert server.client("sts").get_caller_identity()["ResponseMetadata"]["RequestId"]
    assert server.client("s3").list_buckets()["ResponseMetadata"]["RequestId"]


def test_what_does_not_exist_says_so(server: Server) -> None:
    with pytest.raises(ClientError) as error:
        server.client("sagemaker").list_endpoints()
    assert code(error) == "UnknownOperationException"
    with pytest.raises(ClientError) as error:
        server.client("iam").list_roles()
    assert code(error) == "InvalidAction"
    with pytest.raises(ClientError) as error:
        server.client("logs").create_log_group(logGroupName="x")
    assert code(error) == "UnknownOperationException"
    with pytest.raises(ClientError) as error:
        server.client("sagemaker-runtime").invoke_endpoint(EndpointName="x", Body=b"")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


# ---- identities ----


def test_identities(any_server: Server) -> None:
    assert any_server.client("sts", WRITER).get_caller_identity()["Arn"].endswith(":assumed-role/SageMakerRole/user")
    iam = any_server.client("iam", WRITER)
    role = iam.get_role(RoleName="SageMakerRole")["Role"]
    assert role["Arn"] == "arn:aws:iam::000000000000:role/SageMakerRole"
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    asked = ["sagemaker:CreateTrainingJob", "s3:GetObject"]
    found = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=asked)["EvaluationResults"]
    assert [(each["EvalActionName"], each["EvalDecision"]) for each in found] == [(a, "allowed") for a in asked]
    with pytest.raises(ClientError) as error:
        iam.get_role(RoleName="no/role")
    assert code(error) == "ValidationError"


def test_who_assumes_a_role_is_let_in_where_everybody_is(server: Server) -> None:
    sts, arn = server.client("sts"), "arn:aws:iam::123456789012:role/path/Some"
    told = sts.assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=900)
    assert told["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/Some/me"
    kept = told["Credentials"]
    assert kept["Expiration"].timestamp() == pytest.approx(server.world.clock.time + 900, abs=0.01)
    assert sts.get_session_token()["Credentials"]["AccessKeyId"] == kept["AccessKeyId"]
    session = boto3.session.Session(kept["AccessKeyId"], kept["SecretAccessKey"], kept["SessionToken"], "us-east-1")
    assert session.client("sagemaker", endpoint_url=server.url).list_training_jobs()["TrainingJobSummaries"] == []
    for wrong in ({"RoleArn": "arn:aws:s3:::bucket/some-key"}, {"RoleSessionName": "a b"}, {"DurationSeconds": 200000}):
        with pytest.raises(ClientError) as error:
            sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "me", **wrong})
        assert code(error) == "ValidationError"


def test_a_server_with_keys_hands_out_none(keyed_server: Server) -> None:
    for ask in (
        lambda sts: sts.get_session_token(),
        lambda sts: sts.assume_role(RoleArn=ROLE, RoleSessionName="me"),
    ):
        with pytest.raises(ClientError, match="sign with the key that you have") as error:
            ask(keyed_server.client("sts", WRITER))
        assert code(error) == "AccessDenied"


# ---- logs ----


def test_a_stream_goes_on_when_its_training_job_is_attempted_again(server: Server) -> None:
    name, logs = trained(server), server.client("logs")
    write(server, name, "lost\nunfinished", "warning\n")
    [stream] = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    where = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"], "startFromHead": True}
    first = logs.get_log_events(**where)
    assert [event["message"] for event in first["events"]] == ["lost", "warning"]
    uid = server.world.reads.trial(name).job_uid
    lost = Exited(server.world.tick(), 1, 1, None, Failure.INTERRUPTED, "its machine was taken")
    server.world.recorder.record(uid, [lost])
    assert server.world.job(uid).live[1].attempt == 2
    write(server, name, "again\nand more\n", attempt=2)
    rest = logs.get_log_events(**where, nextToken=first["nextForwardToken"])["events"]
    assert [event["message"] for event in rest] == ["unfinished", "again", "and more"]
    assert logs.get_log_events(**where)["events"] == [*first["events"], *rest]


def test_logs_grow_at_their_end(server: Server) -> None:
    """Clients skip what they know by time and count, so the order and the times must stay as they were."""
    name, logs = trained(server), server.client("logs")
    assert logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"] == []
    write(server, name, "one\n\ntwo\nunfini", "warning\n")
    [stream] = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    assert stream["logStreamName"].startswith(f"{name}/algo-1-")
    where = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"]}
    first = logs.get_log_events(**where, startFromHead=True)
    assert [event["message"] for event in first["events"]] == ["one", " ", "two", "warning"]
    write(server, name, "shed\nthree\n", "error\n")
    again = logs.get_log_events(**where, startFromHead=True)["events"]
    assert again[:4] == first["events"]
    assert [event["message"] for event in again[4:]] == ["unfinished", "three", "error"]
    rest = logs.get_log_events(**where, startFromHead=True, nextToken=first["nextForwardToken"])
    assert rest["events"] == again[4:]
    end = logs.get_log_events(**where, startFromHead=True, nextToken=rest["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == rest["nextForwardToken"]
    since = logs.get_log_events(**where, startFromHead=True, startTime=again[-1]["timestamp"])["events"]
    assert since == again[-len(since) :] != []


def test_the_last_events_and_those_before(server: Server) -> None:
    name, logs = trained(server), server.client("logs")
    write(server, name, "".join(f"{n}\n" for n in range(10)))
    where = {"logGroupName": GROUP, "logStreamName": f"{name}/algo-1-0", "limit": 4}
    last = logs.get_log_events(**where)
    before = logs.get_log_events(**where, nextToken=last["nextBackwardToken"])
    assert [event["message"] for event in last["events"]] == ["6", "7", "8", "9"]
    assert [event["message"] for event in before["events"]] == ["2", "3", "4", "5"]
    found = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNamePrefix=name, PaginationConfig={"PageSize": 3}
    )
    assert [event["message"] for page in found for event in page["events"]] == [str(n) for n in range(10)]
    matching = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix=name, filterPattern='"7"')["events"]
    assert [event["message"] for event in matching] == ["7"]


def test_unknown_logs(server: Server) -> None:
    logs = server.client("logs")
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == [GROUP]
    for call in (
        lambda: logs.describe_log_streams(logGroupName="/aws/lambda/x"),
        lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="nobody/algo-1-1"),
        lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="../../etc/passwd"),
    ):
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            call()


# ---- metrics ----


def test_curves_as_statistics(server: Server) -> None:
    name = trained(server, "curve", 4.0, 2.0, 3.0)
    now = server.world.clock.time
    asked: dict[str, Any] = {
        "Namespace": GROUP,
        "MetricName": "loss",
        "Dimensions": [{"Name": "TrainingJobName", "Value": name}],
        "StartTime": datetime.fromtimestamp(now - 3600, UTC),
        "EndTime": datetime.fromtimestamp(now + 3600, UTC),
        "Period": 3600,
        "Statistics": ["Average", "Minimum", "SampleCount"],
    }
    client = server.client("cloudwatch")
    points = client.get_metric_statistics(**asked)["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 3
    assert min(point["Minimum"] for point in points) == 2.0
    assert client.get_metric_statistics(**{**asked, "MetricName": "other"})["Datapoints"] == []
    with pytest.raises(ClientError) as error:
        client.get_metric_statistics(**{**asked, "Period": 7})
    assert code(error) == "InvalidParameterValue"


def test_metrics_are_listed_and_read_many_at_a_time(server: Server) -> None:
    """What SDK v2's `visualize_jobs` does: which metrics has a training job, and what were they?"""
    name = trained(server, "seen", 4.0, 2.0)
    client, now = server.client("cloudwatch"), server.world.clock.time
    of_job = [{"Name": "TrainingJobName", "Value": name}]
    metrics = client.list_metrics(Namespace=GROUP, Dimensions=of_job)["Metrics"]
    assert [metric["MetricName"] for metric in metrics] == ["loss", "ObjectiveMetric"]
    assert all(metric["Dimensions"] == of_job for metric in metrics)
    assert client.list_metrics(Namespace=GROUP, Dimensions=[{"Name": "Host", "Value": "x/algo-1"}])["Metrics"] == []
    assert len(client.list_metrics(Namespace=GROUP, MetricName="loss")["Metrics"]) == 1
    asked: dict[str, Any] = {
        "MetricDataQueries": [
            {"Id": metric["MetricName"].lower(), "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}
            for metric in metrics
        ],
        "StartTime": datetime.fromtimestamp(now - 3600, UTC),
        "EndTime": datetime.fromtimestamp(now + 3600, UTC),
    }
    loss, objective = client.get_metric_data(**asked)["MetricDataResults"]
    assert (loss["Id"], loss["Label"], loss["StatusCode"]) == ("loss", "loss", "Complete")
    assert max(loss["Values"]) == 4.0 and loss["Values"] == objective["Values"]
    assert loss["Timestamps"] == sorted(loss["Timestamps"], reverse=True)
    upwards = client.get_metric_data(**asked, ScanBy="TimestampAscending")["MetricDataResults"][0]
    assert upwards["Values"] == loss["Values"][::-1]
    for queries in ([{"Id": "sum", "Expression": "1 + 1"}], [asked["MetricDataQueries"][0]] * 2):
        with pytest.raises(ClientError) as error:
            client.get_metric_data(**{**asked, "MetricDataQueries": queries})
        assert code(error) == "ValidationError"


def test_metrics_in_the_older_protocol(server: Server) -> None:
    """Forms and XML, as older clients write and read them."""
    name = trained(server, "older", 4.0)
    now = datetime.fromtimestamp(server.world.clock.time, UTC)

    def said(**fields: str) -> str:
        form = urllib.parse.urlencode({"Version": "2010-08-01", **fields}).encode()
        with urllib.request.urlopen(urllib.request.Request(server.url, form)) as answer:
            return str(answer.read().decode())

    where = {"Dimensions.member.1.Name": "TrainingJobName", "Dimensions.member.1.Value": name}
    assert "<MetricName>loss</MetricName>" in said(Action="ListMetrics", Namespace=GROUP, **where)
    times = {"StartTime": f"{now - timedelta(hours=1):%FT%TZ}", "EndTime": f"{now + timedelta(hours=1):%FT%TZ}"}
    asked = {"Namespace": GROUP, "MetricName": "loss", "Period": "3600", "Statistics.member.1": "Sum", **where, **times}
    assert "<Sum>4.0</Sum>" in said(Action="GetMetricStatistics", **asked)
    stat = {f"Metric.{field}": value for field, value in where.items()}
    stat |= {"Metric.Namespace": GROUP, "Metric.MetricName": "loss", "Period": "60", "Stat": "Sum"}
    query = {f"MetricDataQueries.member.1.MetricStat.{field}": value for field, value in stat.items()}
    told = said(Action="GetMetricData", **{"MetricDataQueries.member.1.Id": "a"}, **query, **times)
    assert "<Values><member>4.0</member></Values>" in told and "<Label>loss</Label>" in told


@pytest.mark.parametrize("name", ["Namespace.b", "Dimensions.member.3.Name", ".".join("a" * 99), "Dimensions.member.1"])
def test_forms_that_are_none(server: Server, name: str) -> None:
    form = {"Action": "ListMetrics", "Namespace": "a", "Dimensions.member.1.Name": "x", name: "y"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(server.url, urllib.parse.urlencode(form).encode())
    with refused.value as answer:
        assert answer.code == 400 and b"<Code>MalformedQueryString</Code>" in answer.read()


# ---- figures ----


def test_figures(server: Server) -> None:
    server.client("sagemaker").create_hyper_parameter_tuning_job(**tuning("counted"))
    with urllib.request.urlopen(server.url + "/metrics") as answer:
        text = answer.read().decode()
    asked = 'tunewright_requests_total{operation="CreateHyperParameterTuningJob",service="sagemaker",status="200"} 1.0'
    assert asked in text and "tunewright_jobs_in_progress 1.0" in text
    assert "tunewright_log_lines_dropped_total 0.0" in text


def test_the_access_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tunewright.access")
    said = server.client("sagemaker", WRITER).list_training_jobs()["ResponseMetadata"]["RequestId"]
    # The line is written once the answer is sent.
    deadline = time.monotonic() + 60
    while not (lines := [r for r in caplog.records if r.name == "tunewright.access"]) and time.monotonic() < deadline:
        time.sleep(0.01)
    [line] = [json.loads(record.getMessage()) for record in lines]
    assert (line["request_id"], line["operation"], line["status"]) == (said, "ListTrainingJobs", 200)
    assert line["access_key"] == WRITER.access and WRITER.secret not in json.dumps(line)
