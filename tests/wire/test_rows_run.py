"""Rows 73 to 77 and 86 over HTTP: programs that a server really runs, seen through boto3 alone."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws.world import definition, training, tuning
from features.test_events import TRAINING, TUNING, listening

from .test_serve import PATIENCE, Serving

BUCKET = "tunewright"
GROUP = "/aws/sagemaker/TrainingJobs"
Wire = dict[str, Any]


class User:
    """Somebody with boto3 and a server."""

    def __init__(self, server: Serving) -> None:
        self.s3, self.logs, self.sagemaker = (server.client(name) for name in ("s3", "logs", "sagemaker"))

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def script(self, name: str, text: str, **static: str) -> dict[str, str]:
        """The hyperparameters that name a script, uploaded as the SDKs do it."""
        content, packed = textwrap.dedent(text).encode(), io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            entry = tarfile.TarInfo("train.py")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        key = f"{name}/source/sourcedir.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
        source = json.dumps(f"s3://{BUCKET}/{key}")
        return {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": source, **static}

    def train(self, name: str, text: str, *, static: dict[str, str] | None = None, **changes: Any) -> Wire:
        """What DescribeTrainingJob says of a plain training job once it has ended."""
        given = {"HyperParameters": self.script(name, text, **(static or {})), **changes}
        output = {"S3OutputPath": f"s3://{BUCKET}/models"}
        self.sagemaker.create_training_job(**training(name, OutputDataConfig=output, **given))
        return self.ended(name)

    def ended(self, name: str) -> Wire:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found: Wire = self.sagemaker.describe_training_job(TrainingJobName=name)
            if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
                return found
            time.sleep(0.05)  # polling a server, as its clients do
        raise AssertionError(f"{name} did not end")

    def log(self, name: str) -> list[str]:
        """What a training job printed, by CloudWatch Logs."""
        where = {"logGroupName": GROUP, "logStreamNamePrefix": f"{name}/"}
        [stream] = self.logs.describe_log_streams(**where)["logStreams"]
        job, _, host = stream["logStreamName"].partition("/")
        assert job == name and host.startswith("algo-1-") and host.removeprefix("algo-1-").isdigit()
        asked = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"], "startFromHead": True}
        return [event["message"] for event in self.logs.get_log_events(**asked)["events"]]

    def members(self, uri: str) -> list[str]:
        """The files in an archive in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return sorted(entry.name for entry in archive if entry.isfile())


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    server = Serving(tmp_path_factory.mktemp("rows") / "home")
    yield User(server)
    server.end()


def channel(name: str, prefix: str, **more: str) -> Wire:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}}
    return {"ChannelName": name, "DataSource": source, **more}


PROBE = """
    import json, os, sys
    config = os.environ["SM_INPUT_CONFIG_DIR"]
    told = {name: json.load(open(os.path.join(config, name))) for name in sorted(os.listdir(config))}
    told["argv"], told["cwd"], told["environment"] = sys.argv[1:], os.getcwd(), dict(os.environ)
    told["read"] = open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "deep", "rows.csv")).read()
    told["data"] = sorted(os.listdir(os.path.join(os.environ["SM_INPUT_DIR"], "data")))
    print("told", json.dumps(told))
    print("loss=1.5;")
"""


@pytest.fixture(scope="module")
def probed(user: User) -> tuple[Wire, Wire]:
    """What a training job of a tuning job found, and what Describe says of it."""
    for name in ("train", "test"):
        user.put(f"data/{name}/deep/rows.csv", f"{name},1\n")
    request = tuning("probe")
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 1
    request["TrainingJobDefinition"] = definition(
        StaticHyperParameters=user.script("probe", PROBE, epochs="3", note='"good"', title="a b"),
        InputDataConfig=[channel("train", "data/train", ContentType="text/csv"), channel("test", "data/test")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
        Environment={"MINE": "yes"},
    )
    user.sagemaker.create_hyper_parameter_tuning_job(**request)
    deadline, summaries = time.monotonic() + PATIENCE, []
    while not summaries and time.monotonic() < deadline:
        asked = {"HyperParameterTuningJobName": "probe"}
        summaries = user.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**asked)["TrainingJobSummaries"]
    described = user.ended(summaries[0]["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Completed", described
    [line] = [line for line in user.log(described["TrainingJobName"]) if line.startswith("told ")]
    return json.loads(line.removeprefix("told ")), described


def test_row_73_files_of_the_contract(probed: tuple[Wire, Wire]) -> None:
    found, described = probed
    assert found["hyperparameters.json"] == described["HyperParameters"]
    assert found["hyperparameters.json"]["_tuning_objective_metric"] == "loss"
    assert all(isinstance(value, str) for value in found["hyperparameters.json"].values())
    inputs = found["inputdataconfig.json"]
    basics = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    assert inputs == {"train": {**basics, "ContentType": "text/csv"}, "test": basics}
    resources = found["resourceconfig.json"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert (resources["current_instance_type"], resources["current_group_name"]) == (
        "ml.m5.large",
        "homogeneousCluster",
    )
    assert resources["network_interface_name"]
    assert (found["read"], found["data"]) == ("train,1\n", ["test", "train"])


def test_row_74_variables_of_script_mode(probed: tuple[Wire, Wire]) -> None:
    found, described = probed
    given, variables = described["HyperParameters"], found["environment"]
    lr = json.loads(given["lr"])
    assert json.loads(variables["SM_HPS"]) == {"epochs": 3, "lr": lr, "note": "good", "title": "a b"}
    assert found["argv"] == ["--epochs", "3", "--lr", given["lr"], "--note", "good", "--title", "a b"]
    assert json.loads(variables["SM_USER_ARGS"]) == found["argv"]
    assert (variables["SM_HP_EPOCHS"], variables["SM_HP_NOTE"]) == ("3", "good")
    assert json.loads(variables["SM_CHANNELS"]) == ["test", "train"]
    base = variables["SM_MODEL_DIR"].removesuffix("/model")
    assert variables["SM_CHANNEL_TEST"].rstrip("/") == f"{base}/input/data/test"
    assert (variables["SM_OUTPUT_DIR"], variables["SM_OUTPUT_DATA_DIR"]) == (f"{base}/output", f"{base}/output/data")
    assert (variables["SM_CURRENT_HOST"], json.loads(variables["SM_HOSTS"])) == ("algo-1", ["algo-1"])
    assert (variables["SM_USER_ENTRY_POINT"], variables["SM_MODULE_NAME"]) == ("train.py", "train")
    assert json.loads(variables["SM_TRAINING_ENV"])["hyperparameters"]["epochs"] == 3
    name = described["TrainingJobName"]
    assert (variables["TRAINING_JOB_NAME"], variables["TRAINING_JOB_ARN"]) == (name, described["TrainingJobArn"])
    assert (variables["AWS_REGION"], variables["MINE"]) == ("us-east-1", "yes")
    assert described["TuningJobArn"].endswith(":hyper-parameter-tuning-job/probe")


def test_row_75_exit_code_and_failure_file(user: User) -> None:
    script = """
        import os, sys
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write("the data are bad: " + "x" * 2000)
        sys.exit(3)
    """
    told = user.train("broken", script)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Failed", "Failed")
    assert told["FailureReason"].startswith("AlgorithmError: the data are bad: xxx")
    assert len(told["FailureReason"]) == 1024
    assert told["SecondaryStatusTransitions"][-1]["Status"] == "Failed"
    quiet = user.train("quiet", "import sys\nsys.exit(4)\n")
    assert quiet["FailureReason"].startswith("AlgorithmError: ") and "4" in quiet["FailureReason"]


def test_row_76_archives_and_log_streams(user: User) -> None:
    script = """
        import os, sys
        for variable, name in (("SM_MODEL_DIR", "model.json"), ("SM_OUTPUT_DATA_DIR", "plot.txt")):
            with open(os.path.join(os.environ[variable], name), "w") as file:
                file.write(name)
        print("to the output", flush=True)
        print("to the errors", file=sys.stderr)
    """
    told = user.train("writer", script)
    assert told["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/models/writer/output/model.tar.gz"
    keys = user.s3.list_objects_v2(Bucket=BUCKET, Prefix="models/writer/")["Contents"]
    assert [entry["Key"] for entry in keys] == [f"models/writer/output/{name}.tar.gz" for name in ("model", "output")]
    assert user.members(told["ModelArtifacts"]["S3ModelArtifacts"]) == ["model.json"]
    assert user.members(f"s3://{BUCKET}/models/writer/output/output.tar.gz") == ["plot.txt"]
    assert sorted(user.log("writer")) == ["to the errors", "to the output"]


FILES = """
    import os
    print("read", open(os.environ["SM_CHANNEL_TRAIN"].rstrip("/") + "/rows.csv").read().strip())
"""
PIPES = """
    import os
    for epoch in (0, 1):
        path = os.environ["SM_CHANNEL_TRAIN"].rstrip("/")
        print("read", open(f"{path}_{epoch}").read().strip(), flush=True)
"""


@pytest.mark.parametrize(("mode", "script"), [("File", FILES), ("FastFile", FILES), ("Pipe", PIPES)])
def test_input_modes(user: User, mode: str, script: str) -> None:
    name = f"mode-{mode}"
    user.put(f"data/{name}/rows.csv", "row,1\n")
    told = user.train(name, script, InputDataConfig=[channel("train", f"data/{name}", InputMode=mode)])
    assert told["TrainingJobStatus"] == "Completed", told.get("FailureReason")
    assert user.log(name) == ["read row,1"] * (2 if mode == "Pipe" else 1)


def test_row_86_events_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (hook, address):
        monkeypatch.setenv("TUNEWRIGHT_EVENTS", address)
        server = Serving(tmp_path / "home")
        try:
            user = User(server)
            request = tuning("told")
            request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 1
            static = user.script("told", "print('loss=1.5;')\n")
            output = {"S3OutputPath": f"s3://{BUCKET}/models"}
            request["TrainingJobDefinition"] = definition(StaticHyperParameters=static, OutputDataConfig=output)
            user.sagemaker.create_hyper_parameter_tuning_job(**request)
            ends: dict[str, Wire] = {}
            with hook.news:
                found = hook.news.wait_for(lambda: _ends(hook.heard, ends), PATIENCE)
            assert found, hook.heard
        finally:
            server.end()
    assert ends[TUNING]["source"] == ends[TRAINING]["source"] == "aws.sagemaker"
    detail = ends[TUNING]["detail"]
    assert (detail["HyperParameterTuningJobName"], detail["TrainingJobStatusCounters"]["Completed"]) == ("told", 1)
    assert isinstance(detail["CreationTime"], int) and detail["CreationTime"] > 1e12, "milliseconds"
    assert ends[TRAINING]["detail"]["TrainingJobName"].startswith("told-001-")


def _ends(heard: list[Wire], ends: dict[str, Wire]) -> bool:
    """Whether the ends of the tuning job and of its training job were told; they are put into `ends`."""
    statuses = {TUNING: "HyperParameterTuningJobStatus", TRAINING: "TrainingJobStatus"}
    for event in heard:
        if event["detail"][statuses[event["detail-type"]]] == "Completed":
            ends[event["detail-type"]] = event
    return set(ends) == set(statuses)
