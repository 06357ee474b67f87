"""The SageMaker SDKs, the AWS CLI and the SDK for JavaScript as their makers ship them, over HTTP and over TLS.

Each has an environment of its own below `.venv-wire`; `make test-wire` makes them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws.world import definition, tuning

from .conftest import CERTIFICATE, HERE, PRIVATE, WRITER
from .test_serve import Serving

pytestmark = [pytest.mark.wire, pytest.mark.timeout(1200)]

ENVIRONMENTS = HERE.parents[1] / ".venv-wire"
BUCKET = "my-default-bucket"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A user's directory: source and data."""
    for name in ("source", "train", "validation"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "train.py").write_text((HERE / "flow_script.py").read_text())
    for name in ("train", "validation"):
        (tmp_path / name / "part").mkdir()
        (tmp_path / name / "part" / "data.csv").write_text("1,2\n")
    return tmp_path


@pytest.fixture(params=["http", "tls and keys"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serving]:
    doors: list[str] = []
    if request.param != "http":
        keys = tmp_path / "keys.json"
        keys.write_text(json.dumps({WRITER.access: WRITER.secret}))
        keys.chmod(0o600)
        doors = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(PRIVATE), "--keys", str(keys)]
    server = Serving(tmp_path / "home", "--bucket", BUCKET, *doors)
    yield server
    server.end()


def environment(serving: Serving, place: Path) -> dict[str, str]:
    """What `tunewright env` says, and nothing else of AWS's."""
    options = ["--endpoint", serving.said["Endpoint"], "--bucket", BUCKET]
    if (place / "keys.json").exists():
        options += ["--keys", str(place / "keys.json"), "--ca", str(CERTIFICATE)]
    command = [serving.process.args[0], "-m", "tunewright", "env", "--json", *options]  # type: ignore[index]
    told = json.loads(subprocess.run(command, env=serving.environment, capture_output=True, check=True).stdout)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    nowhere = str(place / "nowhere")
    return {**kept, "HOME": str(place), "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, **told}


def day(flow: str, interpreter: str, place: Path, variables: dict[str, str]) -> None:
    command = [str(ENVIRONMENTS / interpreter / "bin" / "python"), str(HERE / flow), str(place)]
    done = subprocess.run(command, env=variables, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "the whole day went well" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]


def test_row_87_the_sagemaker_sdk_v2(serving: Serving, place: Path) -> None:
    day("flow_v2.py", "v2", place, environment(serving, place))


def test_row_88_warm_starts_and_several_estimators_in_v2(serving: Serving, place: Path) -> None:
    day("flow_v2_parents.py", "v2", place, environment(serving, place))


def test_row_89_the_sagemaker_sdk_v3(serving: Serving, place: Path) -> None:
    day("flow_v3.py", "v3", place, environment(serving, place))


def test_local_mode(place: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    day("flow_local.py", "v2", place, {**kept, "HOME": str(place), "TUNEWRIGHT_HOME": str(place / "home")})


class Cli:
    """The AWS CLI."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = {**variables, "AWS_PAGER": ""}

    def __call__(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        try:
            return json.loads(done.stdout or "null")
        except ValueError:
            return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ENVIRONMENTS / "cli" / "bin" / "aws"), *arguments]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)


def request(name: str, jobs: int) -> dict[str, Any]:
    static = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz"}
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data", "S3DataDistributionType": "FullyReplicated"}
    asked = tuning(name)
    config = asked["HyperParameterTuningJobConfig"]
    config["ResourceLimits"] = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2}
    limits = {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "1"}
    config["ParameterRanges"] = {"ContinuousParameterRanges": [limits]}
    asked["TrainingJobDefinition"] = definition(
        StaticHyperParameters=static,
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "valid_loss=([0-9.]+);"}],
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
    )
    return asked


def finished(aws: Cli, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        told: dict[str, Any] = aws(
            "sagemaker", "describe-hyper-parameter-tuning-job", "--hyper-parameter-tuning-job-name", name
        )
        if told["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
            return told
    raise AssertionError(f"{name} did not end")


def test_row_01_the_aws_cli(serving: Serving, place: Path) -> None:
    aws = Cli(environment(serving, place))
    (place / "train" / "big.bin").write_bytes(os.urandom(20 << 20))
    with tarfile.open(place / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(place / "source" / "train.py", "train.py")
    aws("s3", "cp", str(place / "sourcedir.tar.gz"), f"s3://{BUCKET}/code/sourcedir.tar.gz")
    aws("s3", "sync", str(place / "train"), f"s3://{BUCKET}/data")
    assert len(aws("s3", "ls", "--recursive", f"s3://{BUCKET}/data/").splitlines()) == 2
    aws("s3", "cp", f"s3://{BUCKET}/data/big.bin", str(place / "back.bin"))
    assert (place / "back.bin").read_bytes() == (place / "train" / "big.bin").read_bytes()

    create = ("sagemaker", "create-hyper-parameter-tuning-job", "--cli-input-json")
    (place / "job.json").write_text(json.dumps(request("from-cli", 4)))
    aws(*create, f"file://{place / 'job.json'}")
    assert "(ResourceInUse)" in aws.run(*create, f"file://{place / 'job.json'}").stderr
    best = finished(aws, "from-cli")["BestTrainingJob"]["TrainingJobName"]
    named = ("--hyper-parameter-tuning-job-name", "from-cli")
    jobs = aws("sagemaker", "list-training-jobs-for-hyper-parameter-tuning-job", *named, "--page-size", "2")
    assert len(jobs["TrainingJobSummaries"]) == 4
    aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", best)
    model = aws("sagemaker", "describe-training-job", "--training-job-name", best)["ModelArtifacts"]["S3ModelArtifacts"]
    aws("s3", "cp", model, str(place / "model.tar.gz"))
    with tarfile.open(place / "model.tar.gz") as archive:
        assert "model.json" in archive.getnames()
    group = "/aws/sagemaker/TrainingJobs"
    told = aws("logs", "filter-log-events", "--log-group-name", group, "--log-stream-name-prefix", f"{best}/")
    assert any("valid_loss=" in event["message"] for event in told["events"])
    assert len(aws("sts", "get-caller-identity")["Account"]) == 12

    (place / "job.json").write_text(json.dumps(request("stopped", 300)))
    aws(*create, f"file://{place / 'job.json'}")
    aws("sagemaker", "stop-hyper-parameter-tuning-job", "--hyper-parameter-tuning-job-name", "stopped")
    assert finished(aws, "stopped")["HyperParameterTuningJobStatus"] == "Stopped"


@pytest.mark.skipif(not (ENVIRONMENTS / "js" / "node_modules").exists(), reason="npm is not there, or has no packages")
def test_the_sdk_for_javascript(serving: Serving, place: Path) -> None:
    variables = environment(serving, place)
    key = {f"aws_{name}": variables[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")}
    s3 = boto3.client("s3", endpoint_url=serving.said["Endpoint"], verify=str(CERTIFICATE), region_name="x", **key)
    with tarfile.open(place / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(place / "source" / "train.py", "train.py")
    s3.upload_file(str(place / "sourcedir.tar.gz"), BUCKET, "code/sourcedir.tar.gz")
    s3.upload_file(str(place / "train" / "part" / "data.csv"), BUCKET, "data/data.csv")
    done = subprocess.run(
        ["node", str(HERE / "flow_js.mjs")],
        input=json.dumps(request("from-js", 4)),
        env={**variables, "NODE_EXTRA_CA_CERTS": str(CERTIFICATE)},
        cwd=ENVIRONMENTS / "js",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "the whole day went well" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]
