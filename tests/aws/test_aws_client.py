"""The in-process client: real botocore, answered by the service."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tunewright.aws.inprocess import remote_client
from tunewright.aws.sagemaker.encoding import single

from .world import World, changed, training, tuning


def test_create_describe_list_stop(world: World) -> None:
    client = world.client()
    arn = client.create_hyper_parameter_tuning_job(**tuning("MyJob"))["HyperParameterTuningJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/myjob"
    described = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="mYjOB")
    assert described["HyperParameterTuningJobName"] == "MyJob"
    assert described["HyperParameterTuningJobArn"] == arn
    assert described["CreationTime"].tzinfo is not None
    assert described["HyperParameterTuningJobStatus"] == "InProgress"
    assert "BestTrainingJob" not in described
    uid = world.store.find("myjob", tuning=True)
    assert world.woken == [uid]
    summaries = client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert [summary["HyperParameterTuningJobName"] for summary in summaries] == ["MyJob"]
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="MyJob")
    assert world.woken == [uid, uid]
    with pytest.raises(ClientError, match="already") as caught:
        client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="MyJob")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_exceptions_are_botocores(world: World) -> None:
    client = world.client()
    with pytest.raises(client.exceptions.ResourceNotFound, match="can't find a tuning job called nope"):
        client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nope")
    client.create_hyper_parameter_tuning_job(**tuning("a"))
    with pytest.raises(client.exceptions.ResourceInUse, match=r"with the name, A, already exists\. Choose"):
        client.create_hyper_parameter_tuning_job(**tuning("A"))


def test_a_value_is_single_precision(world: World) -> None:
    uid = world.create(tuning())
    world.run(uid, {"lr": 0.01}, "loss", 2.91488)
    client = world.client()
    best = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="job")["BestTrainingJob"]
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert value == 2.9148800373077393 == single(2.91488)
    assert best["TunedHyperParameters"] == {"lr": "0.01"}


def test_paginators_page(world: World) -> None:
    uid = world.create(changed(tuning(), "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs", 25))
    for number in range(25):
        world.run(uid, {"lr": 0.001 * (number + 1)}, "loss", float(number % 7))
    client = world.client()
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName="job", SortBy="FinalObjectiveMetricValue", PaginationConfig={"PageSize": 4}
    )
    found = [summary for page in pages for summary in page["TrainingJobSummaries"]]
    values = [summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for summary in found]
    assert values == sorted(values)
    assert len({summary["TrainingJobName"] for summary in found}) == 25


def test_the_waiter_returns_on_completed_and_stopped_and_raises_on_failed(world: World) -> None:
    client = world.client()
    for name, code, killed in (("good", 0, False), ("stopped", 143, True), ("bad", 1, False)):
        client.create_training_job(**training(name))
        uid = world.store.find(name, tuning=False)
        world.launch(uid, 1)
        if killed:
            client.stop_training_job(TrainingJobName=name)
        world.exit(uid, 1, code, killed=killed)
    waiter = client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="good")
    waiter.wait(TrainingJobName="stopped")
    with pytest.raises(Exception, match="terminal failure"):
        waiter.wait(TrainingJobName="bad")


def test_the_users_aws_configuration_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/does/not/exist")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/does/not/exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert world.client().list_training_jobs()["TrainingJobSummaries"] == []


@pytest.fixture
def url(world: World) -> Iterator[str]:
    """The strict service behind a plain HTTP server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, answer = world.strict.handle(self.headers["X-Amz-Target"].split(".")[1], body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_remote_client_says_the_same_over_http(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    remote, near = remote_client(url, "us-east-1"), world.client()
    remote.create_hyper_parameter_tuning_job(**tuning("Far"))
    told = [client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="far") for client in (remote, near)]
    for answer in told:
        assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    assert told[0] == told[1]
    with pytest.raises(remote.exceptions.ResourceNotFound):
        remote.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="nope")
    assert remote.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="far")
    remote.close()


def test_a_call_in_process_is_tried_once(world: World) -> None:
    metadata = world.client().list_training_jobs()["ResponseMetadata"]
    assert metadata["RetryAttempts"] == 0 and "MaxAttemptsReached" not in metadata
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]
