"""Rows 73, 74 and 77: what a training program finds."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from tunewright.aws.faults import Fault
from tunewright.aws.logs.service import Logs
from tunewright.executors import rooms

from .ground import Real, Wire

PROBE = """
    import json, os
    base = os.path.dirname(os.environ["SM_MODEL_DIR"])
    here = "/opt/ml" if os.path.exists("/opt/ml/input/config") else base
    config = os.path.join(here, "input", "config")
    told = {name: json.load(open(os.path.join(config, name))) for name in sorted(os.listdir(config))}
    told["channels"] = sorted(os.listdir(os.path.join(here, "input", "data")))
    told["rows"] = open(os.path.join(here, "input", "data", "train", "rows.csv")).read()
    told["variables"] = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
    told["base"], told["here"] = base, here
    print("told", json.dumps(told))
    print("acc=1;")
"""


def channel(name: str, **more: str) -> Wire:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{name}"}}
    return {"ChannelName": name, "DataSource": source, **more}


def told(real: Real) -> Wire:
    """What the probe says of one training job with two channels."""
    for name in ("train", "test"):
        real.put(f"s3://data/{name}/rows.csv", f"{name},1\n")
    inputs = {"InputDataConfig": [channel("train", ContentType="text/csv"), channel("test")]}
    static = real.script(PROBE, epochs="3", note='"good"')
    real.run(real.request("job", jobs=1, training={"StaticHyperParameters": static, **inputs}))
    [child] = real.children("job")
    [line] = [line for line in real.log(child["TrainingJobName"]).splitlines() if line.startswith("told ")]
    found: Wire = json.loads(line.removeprefix("told "))
    return found


def test_row_73_files_of_the_contract(real: Real) -> None:
    found = told(real)
    given = found["hyperparameters.json"]
    assert all(isinstance(value, str) for value in given.values())
    assert (given["epochs"], given["note"], given["_tuning_objective_metric"]) == ("3", '"good"', "acc")
    train, test = found["inputdataconfig.json"]["train"], found["inputdataconfig.json"]["test"]
    assert train["TrainingInputMode"] == "File" and train["S3DistributionType"] == "FullyReplicated"
    assert train["RecordWrapperType"] == "None"
    assert train["ContentType"] == "text/csv" and "ContentType" not in test
    resources = found["resourceconfig.json"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["current_instance_type"] == "ml.m5.large"
    assert found["channels"] == ["test", "train"]
    assert found["rows"] == "train,1\n"
    assert found["here"] == ("/opt/ml" if not rooms.obstacle() else found["base"])


def test_row_74_variables_of_script_mode(real: Real) -> None:
    found = told(real)
    variables, base = found["variables"], found["base"]
    parameters = json.loads(variables["SM_HPS"])
    assert (parameters["epochs"], parameters["note"]) == (3, "good")
    assert (variables["SM_HP_EPOCHS"], variables["SM_HP_NOTE"]) == ("3", "good")
    assert not [name for name in variables if "SAGEMAKER" in name and name.startswith("SM_HP_")]
    assert variables["SM_MODEL_DIR"] == f"{base}/model"
    assert json.loads(variables["SM_CHANNELS"]) == ["test", "train"]
    assert variables["SM_CHANNEL_TRAIN"].rstrip("/") == f"{base}/input/data/train"
    assert variables["SM_CHANNEL_TEST"].rstrip("/") == f"{base}/input/data/test"


def test_images_of_the_settings(tmp_path: Path) -> None:
    """The table reaches the programs: an image's scripts run with the interpreter that it names."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nMAPPED=yes exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    here = Real(tmp_path, TUNEWRIGHT_IMAGES=json.dumps({"tunewright/*": str(python)}))
    try:
        here.train(here.plain("job", "import os\nprint(os.environ.get('MAPPED'))\n"))
        assert here.log("job") == "yes\n"
    finally:
        here.close()


def test_log_streams_of_several_hosts(real: Real) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    script = "import os\nprint('I am', os.environ['SM_CURRENT_HOST'])\n"
    found = real.train(real.plain("job", script, ResourceConfig=resources))
    assert found["TrainingJobStatus"] == "Completed", found["FailureReason"]
    logs = Logs(real.host.reads, real.local.log_paths, "123456789012", time.time)

    def ask(operation: str, **request: object) -> Wire:
        body = json.dumps({"logGroupName": "/aws/sagemaker/TrainingJobs", **request}).encode()
        answer: Wire = json.loads(logs.handle(operation, body, "us-east-1")[2])
        return answer

    names = [s["logStreamName"] for s in ask("DescribeLogStreams", logStreamNamePrefix="job/", limit=2)["logStreams"]]
    assert [re.sub(r"-[0-9]+$", "", name) for name in names] == ["job/algo-1", "job/algo-2"]
    said = [[event["message"] for event in ask("GetLogEvents", logStreamName=name)["events"]] for name in names]
    assert said == [["I am algo-1"], ["I am algo-2"]]
    with pytest.raises(Fault, match="does not exist"):
        ask("GetLogEvents", logStreamName=names[0].replace("algo-1", "algo-3"))


FILES = """
    import os
    path = os.environ["SM_CHANNEL_TRAIN"].rstrip("/") + "/rows.csv"
    print("read", open(path).read().strip())
    try:
        open(path, "a").close()
        print("writable")
    except OSError:
        print("read-only")
"""
PIPES = """
    import os
    path = os.environ["SM_CHANNEL_TRAIN"].rstrip("/")
    for epoch in (0, 1):
        print("read", open(f"{path}_{epoch}").read().strip(), flush=True)
"""


@pytest.mark.parametrize(("mode", "script"), [("File", FILES), ("FastFile", FILES), ("Pipe", PIPES)])
def test_row_77_input_modes(real: Real, mode: str, script: str) -> None:
    real.put("s3://data/train/rows.csv", "train,1\n")
    found = real.train(real.plain("job", script, InputDataConfig=[channel("train", InputMode=mode)]))
    assert found["TrainingJobStatus"] == "Completed", found["FailureReason"]
    lines = real.log("job").splitlines()
    if mode != "Pipe" and (os.geteuid() or not rooms.obstacle()):
        assert lines.pop() == ("read-only" if mode == "FastFile" else "writable")
    reads = [line for line in lines if line.startswith("read ")]
    assert reads == ["read train,1"] * (2 if mode == "Pipe" else 1)
