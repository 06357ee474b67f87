"""Clients of either kind and what stands behind them. Imported when something is run: it brings the whole engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tunewright.assembly import Local, local
from tunewright.aws.inprocess import ENDPOINT, remote_client, session_of_user
from tunewright.core.reads import LogTail
from tunewright.settings import Settings


def client(url: str | None = None, *, strict: bool = False) -> Any:
    """A botocore SageMaker client.

    Args:
        url: a server's address, such as `http://127.0.0.1:8080`; None answers in this process and runs jobs in
            the background of it.
        strict: AMT to the letter, limits included; a server decides that for itself.
    """
    return local(strict).client if url is None else remote_client(url, Settings.load().region)


def engine(strict: bool) -> Local:
    """The engine of this process for the settings in force."""
    return local(strict)


def behind(client: Any) -> Local | None:
    """The engine of this process that answers this client, if one does."""
    if getattr(getattr(client, "meta", None), "endpoint_url", None) != ENDPOINT:
        return None
    return next((each for each in (local(False), local(True)) if each.client is client), None)


class Remote:
    """S3 and logs of the server that a remote client talks to."""

    def __init__(self, client: Any) -> None:
        self._meta = client.meta
        self._made: dict[str, Any] = {}
        self._buckets: set[str] = set()

    def put_file(self, source: Path, bucket: str, key: str) -> None:
        """Store a file; its bucket is made when it is missing. Raises botocore's ClientError."""
        s3 = self._service("s3")
        if bucket not in self._buckets:
            try:
                s3.head_bucket(Bucket=bucket)
            except s3.exceptions.ClientError:
                s3.create_bucket(Bucket=bucket)
            self._buckets.add(bucket)
        with source.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body)

    def log_tail(self, training_job: str, lines: int) -> LogTail | None:
        """The last lines of a training job's log, all hosts' together; None when there is none."""
        logs = self._service("logs")
        group = "/aws/sagemaker/TrainingJobs"
        try:
            found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{training_job}/")
            text: list[str] = []
            for stream in found["logStreams"]:
                name = stream["logStreamName"]
                page = logs.get_log_events(logGroupName=group, logStreamName=name, limit=lines, startFromHead=False)
                text += [event["message"] for event in page["events"]]
        except logs.exceptions.ClientError:
            return None
        return LogTail(f"{group}/{training_job}", "\n".join(text[-lines:]))

    def curve(self, training_job: str, metric: str, start: datetime, end: datetime) -> list[tuple[float, float]]:
        """A metric's values by seconds since `start`, of each second their mean."""
        stat = {
            "Metric": {
                "Namespace": "/aws/sagemaker/TrainingJobs",
                "MetricName": metric,
                "Dimensions": [{"Name": "TrainingJobName", "Value": training_job}],
            },
            "Period": 1,
            "Stat": "Average",
        }
        pages = (
            self._service("cloudwatch")
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
                StartTime=start - timedelta(seconds=1),  # seconds begin before what is in them
                EndTime=end + timedelta(minutes=1),
                ScanBy="TimestampAscending",
            )
        )
        found: list[tuple[float, float]] = []
        for result in (result for page in pages for result in page["MetricDataResults"]):
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                found.append((max(0.0, (at - start).total_seconds()), value))
        return found

    def _service(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = session_of_user().create_client(
                name, region_name=self._meta.region_name, endpoint_url=self._meta.endpoint_url
            )
        return self._made[name]
