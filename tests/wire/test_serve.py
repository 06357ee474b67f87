"""`tunewright serve` as a process: its doors, its end, and who goes on with the jobs."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from aws.world import definition, tuning

from .conftest import CERTIFICATE, PRIVATE, SESSION, WRITER

PATIENCE = 120.0
SCRIPT = """\
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
while os.environ.get("GATE") and not os.path.exists(os.environ["GATE"]):
    time.sleep(0.05)
print(f"loss={(lr - 0.03) ** 2:.6f}")
"""


class Serving:
    """A server in a process of its own."""

    def __init__(self, home: Path, *options: str, variables: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.environment = {**os.environ, "TUNEWRIGHT_HOME": str(home), **(variables or {})}
        command = [sys.executable, "-m", "tunewright", "serve", "--port", "0", "--json", *options]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read() if self.process.stderr else ""
            text += line
        self.said = json.loads(text)

    def client(self, service: str) -> Any:
        return SESSION.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.said["Endpoint"],
            aws_access_key_id=WRITER.access,
            aws_secret_access_key=WRITER.secret,
            verify=str(CERTIFICATE) if self.said["Endpoint"].startswith("https") else None,
        )

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def serving(home: Path) -> Iterator[Serving]:
    server = Serving(home)
    yield server
    server.end()


def submit(server: Serving, tmp_path: Path, name: str, environment: dict[str, str], script: str = SCRIPT) -> None:
    (tmp_path / "train.py").write_text(script)
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    server.client("s3").upload_file(str(tmp_path / "sourcedir.tar.gz"), "tunewright", "code/sourcedir.tar.gz")
    source = "s3://tunewright/code/sourcedir.tar.gz"
    request = tuning(name)
    request["TrainingJobDefinition"] = definition(
        StaticHyperParameters={"sagemaker_program": '"train.py"', "sagemaker_submit_directory": json.dumps(source)},
        OutputDataConfig={"S3OutputPath": "s3://tunewright/out"},
        Environment=environment,
    )
    server.client("sagemaker").create_hyper_parameter_tuning_job(**request)


def wait(server: Serving, name: str, *statuses: str, training: int = 0) -> dict[str, Any]:
    client = server.client("sagemaker")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        counted = found["TrainingJobStatusCounters"]["InProgress"]
        if found["HyperParameterTuningJobStatus"] in statuses and counted >= training:
            return found
        time.sleep(0.1)  # polling a server, as its clients do
    raise AssertionError(f"{name} did not become {statuses}: {found}")


def test_a_tuning_job_from_upload_to_model(serving: Serving, tmp_path: Path) -> None:
    submit(serving, tmp_path, "whole", {})
    best = wait(serving, "whole", "Completed", "Failed")["BestTrainingJob"]
    told = serving.client("sagemaker").describe_training_job(TrainingJobName=best["TrainingJobName"])
    model = told["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://tunewright/out/{best['TrainingJobName']}/output/model.tar.gz"
    assert serving.client("s3").head_object(Bucket="tunewright", Key=model.removeprefix("s3://tunewright/"))
    logs = serving.client("logs")
    [stream] = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{best['TrainingJobName']}/"
    )["logStreams"]
    events = logs.get_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"])[
        "events"
    ]
    assert any("loss=" in event["message"] for event in events)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL], ids=str
)
def test_training_outlives_the_server_and_the_next_one_goes_on(number: int, home: Path, tmp_path: Path) -> None:
    gate, first = tmp_path / "gate", Serving(home)
    submit(first, tmp_path, "outlives", {"GATE": str(gate)})
    wait(first, "outlives", "InProgress", training=2)
    assert first.end(number) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    gate.touch()
    second = Serving(home)
    try:
        found = wait(second, "outlives", "Completed", "Failed")
        assert found["TrainingJobStatusCounters"]["Completed"] == 4
    finally:
        second.end()


def test_it_serves_over_tls_with_keys(home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({WRITER.access: WRITER.secret}))
    keys.chmod(0o600)
    doors = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(PRIVATE), "--keys", str(keys), "--host", "127.0.0.1")
    server = Serving(home, *doors, "--bucket", "mine", "--no-loop")
    try:
        assert server.said["Endpoint"].startswith("https://127.0.0.1:")
        assert [each["Name"] for each in server.client("s3").list_buckets()["Buckets"]] == ["mine"]
    finally:
        assert server.end() == 0


INSIDE = """\
import boto3, os, urllib.request
boto3.client("s3").put_object(Bucket="tunewright", Key="from/inside", Body=b"x")
boto3.client("sagemaker").describe_training_job(TrainingJobName=os.environ["TRAINING_JOB_NAME"])
print("operator's", sorted(name for name, value in os.environ.items() if "operators-own" in value))
print("loss=0.5")
"""


@pytest.mark.parametrize("secure", [False, True], ids=["open", "tls and keys"])
def test_a_training_program_reaches_the_server_and_is_let_in(secure: bool, home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({WRITER.access: WRITER.secret}))
    keys.chmod(0o600)
    doors = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(PRIVATE), "--keys", str(keys)) if secure else ()
    theirs = {name: "operators-own" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    server = Serving(home, *doors, variables={**theirs, "AWS_PROFILE": "operators-own", "HTTP_PROXY": "http://[::1]:1"})
    try:
        submit(server, tmp_path, "inside", {}, INSIDE)
        best = wait(server, "inside", "Completed", "Failed")["BestTrainingJob"]
        assert server.client("s3").get_object(Bucket="tunewright", Key="from/inside")["Body"].read() == b"x"
        assert "operator's []" in (home / "jobs" / best["TrainingJobName"] / "stdout.log").read_text()
        told = json.dumps(server.client("sagemaker").describe_training_job(**named(best)), default=str)
        file = home / "programs.env"
        secret = dict(line.split("=", 1) for line in file.read_text().splitlines())["AWS_SECRET_ACCESS_KEY"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert (secret not in told and secret.encode() not in (home / "tunewright.db").read_bytes()) or not secure
    finally:
        server.end()
    if secure:
        Serving(home, *doors).end()
        assert f"AWS_SECRET_ACCESS_KEY={secret}\n" in file.read_text(), "programs that outlive a server need it"
        file.chmod(0o644)
        Serving(home, *doors).end()
        assert secret not in file.read_text() and file.stat().st_mode & 0o777 == 0o600, "others could have read it"


def named(summary: dict[str, Any]) -> dict[str, str]:
    return {"TrainingJobName": summary["TrainingJobName"]}


def test_nobody_reads_what_it_says(serving: Serving) -> None:
    """Standard error is a pipe that is full after a few requests; they are answered, and so is the end."""
    assert serving.process.stderr is not None
    fcntl.fcntl(serving.process.stderr.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    client = serving.client("sagemaker")
    for _ in range(200):
        client.list_training_jobs()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(timeout=PATIENCE) == 0


def run(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunewright", *arguments]
    environment = {**os.environ, "TUNEWRIGHT_HOME": str(home), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--keys"),
        (["--tls-cert", str(CERTIFICATE)], "--tls-key"),
        (["--tls-cert", str(PRIVATE), "--tls-key", str(PRIVATE)], "cannot be used"),
        (["--keys", "/nowhere"], "cannot be read"),
        (["--host", "192.0.2.1", "--keys", "{keys}"], "cannot be listened on"),
    ],
    ids=str,
)
def test_doors_that_would_stand_open_or_lead_nowhere(options: list[str], said: str, home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"AAAA": "a-long-secret"}')
    keys.chmod(0o600)
    done = run("serve", "--port", "0", *(option.format(keys=keys) for option in options), home=home)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_env_is_a_shells(home: Path, tmp_path: Path) -> None:
    output = tmp_path / "a file.yaml"
    done = run("env", "--endpoint", "http://127.0.0.1:99/", "--output", str(output), "--bucket", "mine", home=home)
    words = [shlex.split(line) for line in done.stdout.splitlines()]
    assert words[0] == ["unset", "AWS_SESSION_TOKEN", "AWS_PROFILE"]
    told = dict(pair[1].split("=", 1) for pair in words[1:] if pair[0] == "export")
    assert told["AWS_ENDPOINT_URL"] == "http://127.0.0.1:99"
    assert told["SAGEMAKER_USER_CONFIG_OVERRIDE"] == str(output)
    modules = yaml.safe_load(output.read_text())["SageMaker"]["PythonSDK"]["Modules"]
    assert modules == {"Session": {"DefaultS3Bucket": "mine"}, "TelemetryOptOut": True}


def test_env_leads_sts_here_from_its_address_at_aws(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDKs ask for a role, an account and a bucket's name, whatever the endpoint variables say."""
    told = json.loads(run("env", "--endpoint", serving.said["Endpoint"], "--json", home=serving.home).stdout)
    monkeypatch.setenv("AWS_DATA_PATH", told["AWS_DATA_PATH"])
    client = boto3.session.Session("key", "secret", region_name="eu-west-1").client(
        "sts", endpoint_url="https://sts.eu-west-1.amazonaws.com"
    )
    assert client.get_caller_identity()["Account"] == "000000000000"


def test_env_keeps_the_directories_of_botocores_that_are_there_already(home: Path) -> None:
    own = str(home / "sagemaker-config.botocore")
    for earlier in ("/models:/more", f"{own}:/models:/more"):
        told = json.loads(run("env", "--json", home=home, AWS_DATA_PATH=earlier).stdout)
        assert told["AWS_DATA_PATH"] == f"{own}:/models:/more"


def test_env_takes_a_key_from_the_file(home: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"READ": {"secret": "a-long-secret", "read_only": true}, "WRITE": "another-secret"}')
    keys.chmod(0o600)
    for options, expected in (([], "WRITE"), (["--key", "READ"], "READ")):
        told = json.loads(run("env", "--keys", str(keys), "--json", *options, home=home).stdout)
        assert told["AWS_ACCESS_KEY_ID"] == expected
    assert run("env", "--keys", str(keys), "--key", "NONE", home=home).returncode == 2


def test_env_makes_the_home_for_its_owner_alone_and_says_what_cannot_be_written(home: Path, tmp_path: Path) -> None:
    fresh = home / "fresh"
    assert run("env", home=fresh).returncode == 0
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    done = run("env", "--output", str(tmp_path / "file" / "x"), home=fresh)
    assert done.returncode == 2 and "Name another file" in done.stderr and "Traceback" not in done.stderr
