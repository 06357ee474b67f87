"""Sessions against a server: uploads, log tails and polling through its own services."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

import tunewright
from tunewright.core.trial import StopCause
from tunewright.sdk.facts import Row
from tunewright.sdk.session import Session

from .fakes import START


class Missing(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "404", "Message": ""}}, "HeadBucket")


class Bucket:
    """An S3 client that keeps what it is given."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self) -> None:
        self.made: list[str] = []
        self.kept: dict[str, bytes] = {}

    def head_bucket(self, Bucket: str) -> None:
        raise Missing

    def create_bucket(self, Bucket: str) -> None:
        self.made.append(Bucket)

    def put_object(self, Bucket: str, Key: str, Body: Any) -> None:
        self.kept[f"{Bucket}/{Key}"] = Body.read()


class Logs:
    """A log service that knows one training job."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str) -> dict[str, Any]:
        if not logStreamNamePrefix.startswith("known/"):
            raise Missing
        return {"logStreams": [{"logStreamName": "known/algo-1-1"}]}

    def get_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": [{"message": f"line {number}"} for number in range(5)]}


class Monitoring:
    """A CloudWatch client that knows one metric of one training job."""

    def get_paginator(self, operation: str) -> Monitoring:
        assert operation == "get_metric_data"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        assert request["StartTime"] < START < request["EndTime"]
        [query] = request["MetricDataQueries"]
        known = query["MetricStat"]["Metric"]["MetricName"] == "loss"
        times = [START - timedelta(seconds=0.5), START + timedelta(seconds=2)] if known else []
        return [{"MetricDataResults": [{"Timestamps": times, "Values": [0.5, 0.25][: len(times)]}]}]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> tuple[Session, Bucket]:
    from tunewright.sdk.clients import Remote

    bucket = Bucket()
    monkeypatch.setattr(
        Remote, "_service", lambda self, name: {"s3": bucket, "logs": Logs(), "cloudwatch": Monitoring()}[name]
    )
    return Session.of(tunewright.client("http://127.0.0.1:1"), strict=False), bucket


def test_files_and_directories_go_into_the_servers_bucket(remote: tuple[Session, Bucket], tmp_path: Path) -> None:
    session, bucket = remote
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a.csv").write_text("1")
    (tmp_path / "data" / "deep" / "b.csv").write_text("2")
    assert session.put_tree(tmp_path / "data", "j/input/train") == "s3://tunewright/j/input/train/"
    assert session.put_tree(tmp_path / "data" / "a.csv", "j/one") == "s3://tunewright/j/one/a.csv"
    assert bucket.made == ["tunewright"]
    assert bucket.kept == {
        "tunewright/j/input/train/a.csv": b"1",
        "tunewright/j/input/train/deep/b.csv": b"2",
        "tunewright/j/one/a.csv": b"1",
    }


def test_the_end_of_a_log_comes_from_the_servers_log_service(remote: tuple[Session, Bucket]) -> None:
    session, _ = remote
    tail = session.log_tail("known", 2)
    assert tail is not None and tail.text == "line 3\nline 4"
    assert session.log_tail("unknown") is None and session.log_paths("known") is None


def test_a_curve_comes_from_the_servers_cloudwatch(
    remote: tuple[Session, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = remote
    told = {"TrainingStartTime": START, "FinalMetricDataList": [{"MetricName": "loss"}]}
    monkeypatch.setattr(session, "describe_training_job", lambda name: told)
    assert session.curves("known") == {"loss": [(0.0, 0.5), (2.0, 0.25)]}
    assert session.curves("known", ["other"]) == {"other": []}


def test_what_only_an_engine_knows_is_left_to_the_wire(remote: tuple[Session, Bucket]) -> None:
    session, _ = remote
    summary = {
        "TrainingJobName": "a",
        "TrainingJobStatus": "Completed",
        "FinalHyperParameterTuningJobObjectiveMetric": {"Value": 0.5},
    }
    assert (
        session.exact_value(summary) == 0.5
        and session.exact_value({"TrainingJobName": "b", "TrainingJobStatus": "Failed"}) is None
    )
    assert session.ending("j") == ""
    session.start()
    session.detach()
    session.hurry("j")
    with pytest.raises(ValueError, match="a server cannot be given Python functions"):
        session.store_function(len)


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        ("Stopped", "the tuning job ended", StopCause.ENDING),
        ("Stopped", "stopped by the user", StopCause.USER),
        ("Stopped", "stopped at epoch 9: it reached the maximum resource 9", StopCause.MAX_RESOURCE),
        ("Stopped", "0.4 is worse than the median 0.9", StopCause.EARLY),
        ("MaxRuntimeExceeded", "MaxRuntimeExceeded", StopCause.MAX_RUNTIME),
        ("MaxWaitTimeExceeded", "MaxWaitTimeExceeded", StopCause.MAX_WAIT),
    ],
)
def test_why_a_servers_training_job_was_stopped_is_asked_for(status: str, said: str, cause: StopCause) -> None:
    asked: list[str] = []

    def describe(TrainingJobName: str) -> dict[str, Any]:
        asked.append(TrainingJobName)
        return {"SecondaryStatusTransitions": [{"Status": status, "StatusMessage": said}]}

    client: Any = SimpleNamespace(
        describe_training_job=describe, exceptions=SimpleNamespace(ClientError=ClientError), meta=None
    )
    session = Session(client)
    assert session.with_cause(Row("a", "Stopped")).cause is cause
    assert session.with_cause(Row("b", "Completed")).cause is None
    assert session.with_cause(Row("c", "Stopped", cause=StopCause.USER)).cause is StopCause.USER
    assert asked == ["a"]


def test_a_stopped_training_job_that_is_gone_has_no_cause() -> None:
    def describe(TrainingJobName: str) -> dict[str, Any]:
        raise Missing

    client: Any = SimpleNamespace(
        describe_training_job=describe, exceptions=SimpleNamespace(ClientError=ClientError), meta=None
    )
    assert Session(client).with_cause(Row("a", "Stopped")).cause is None
