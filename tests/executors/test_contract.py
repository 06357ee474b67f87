"""The container contract: files, arguments and variables."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import Invalid
from tunewright.core.parameters import decode_json
from tunewright.core.ports import ExitReport, Task
from tunewright.core.reads import LogTail
from tunewright.core.space import encode_value
from tunewright.core.spec import Channel, Training
from tunewright.core.trial import Cursor, Failure
from tunewright.executors.contract import access
from tunewright.executors.contract.environment import MAX_VARIABLE, environment
from tunewright.executors.contract.files import arguments, program_parameters, script, write_config
from tunewright.executors.workdir import Workdir, end_of_log, last_lines, read_exit, write_exit

HPS = {
    "_tuning_objective_metric": "loss",
    "sagemaker_program": '"train.py"',
    "sagemaker_submit_directory": "s3://bucket/sourcedir.tar.gz",
    "sagemaker_container_log_level": "30",
    "_tunewright": "{}",
    "title": "a b",
    "learning-rate": "1e-05",
    "n": "237",
    "layers": '[1, "two"]',
    "none": "null",
}


def task(**training: object) -> Task:
    return Task("j", "job-1", 1, 1, Training(**training), HPS, arn="arn:1", region="eu-west-1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("237", 237),
        ("237.0", 237.0),
        ("1e-05", 1e-05),
        ('"sgd"', "sgd"),
        ("resnet", "resnet"),
        ("a b", "a b"),
        ("true", True),
        ("True", "True"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("", ""),
        ("007", "007"),
        ("[1, 2]", [1, 2]),
        ('{"a": null}', {"a": None}),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_decode(text: str, value: object) -> None:
    assert decode_json(text) == value and type(decode_json(text)) is type(value)


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)))
def test_decode_undoes_our_own_encoding(value: str | int | float | bool) -> None:
    assert decode_json(encode_value(value)) == value


def test_arguments() -> None:
    assert arguments(program_parameters(HPS)) == [
        *("--layers", "[1, 'two']", "--learning-rate", "1e-05"),
        *("-n", "237", "--none", "None", "--title", "a b"),
    ]


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_each_parameter_is_two_arguments(values: dict[str, str]) -> None:
    parameters = program_parameters(values)
    given_arguments = arguments(parameters)
    assert len(given_arguments) == 2 * len(parameters)
    assert [name.lstrip("-") for name in given_arguments[::2]] == [name.lstrip("-") for name in sorted(parameters)]


def test_script() -> None:
    assert script(HPS) == ("train.py", "s3://bucket/sourcedir.tar.gz")
    assert script({"sagemaker_program": "a.py"}) == ("a.py", "")
    assert script({}) is None


def test_config_files(tmp_path: Path) -> None:
    workdir = Workdir.of(tmp_path, "job-1")
    workdir.make()
    channels = (Channel("train", "s3://b/t", content_type="text/csv"), Channel("test", "s3://b/v"))
    write_config(workdir, task(channels=channels, instance_type="ml.m5.large"))
    read = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in Path(workdir.config).iterdir()}
    assert read["hyperparameters.json"] == HPS
    entry = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    assert read["inputdataconfig.json"] == {"train": {**entry, "ContentType": "text/csv"}, "test": entry}
    resources = read["resourceconfig.json"]
    assert resources["hosts"] == [resources["current_host"]] == ["algo-1"]
    assert resources["current_instance_type"] == "ml.m5.large"
    assert "checkpointconfig.json" not in read


def test_variables(tmp_path: Path) -> None:
    workdir = Workdir.of(tmp_path, "job-1")
    base = {"HOME": "/home/me", "PATH": "/bin"}
    given_task = task(channels=(Channel("train", "s3://b/t"),), environment={"HOME": "/elsewhere"}, cpus=2)
    found = environment(given_task, workdir, base, python="/venv/bin/python")
    expected = {
        "HOME": "/elsewhere",
        "PATH": "/venv/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "2",
        "TRAINING_JOB_NAME": "job-1",
        "TRAINING_JOB_ARN": "arn:1",
        "AWS_REGION": "eu-west-1",
        "SM_CHANNELS": '["train"]',
        "SM_CHANNEL_TRAIN": f"{tmp_path}/jobs/job-1/input/data/train",
        "SM_HP_LEARNING-RATE": "1e-05",
        "SM_HP_TITLE": "a b",
        "SM_HP_LAYERS": '[1,"two"]',
        "SM_LOG_LEVEL": "30",
        "SM_MODEL_DIR": f"{tmp_path}/jobs/job-1/model",
        "SM_MODULE_NAME": "train",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_NUM_CPUS": "2",
        "SM_NUM_GPUS": "0",
        "SM_HOSTS": '["algo-1"]',
        "SM_FRAMEWORK_PARAMS": "{}",
        "TUNEWRIGHT_METRICS_FILE": f"{tmp_path}/jobs/job-1/metrics.jsonl",
    }
    assert {name: found.get(name) for name in expected} == expected
    hps = {"layers": [1, "two"], "learning-rate": 1e-05, "n": 237, "none": None, "title": "a b"}
    assert json.loads(found["SM_HPS"]) == hps
    whole = json.loads(found["SM_TRAINING_ENV"])
    assert whole["hyperparameters"] == hps
    assert whole["channel_input_dirs"] == {"train": found["SM_CHANNEL_TRAIN"]}
    assert whole["job_name"] == "job-1" and whole["resource_config"]["current_host"] == "algo-1"
    assert not [name for name in found if "TUNING_OBJECTIVE" in name or "SAGEMAKER_PROGRAM" in name]


def served(tmp_path: Path) -> dict[str, str]:
    """What a server's fork server has in its environment."""
    path = tmp_path / "programs.env"
    access.write(path, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "OURS", "NO_PROXY": "a,b=c"})
    assert path.stat().st_mode & 0o777 == 0o600
    operators = {"AWS_ACCESS_KEY_ID": "THEIRS", "AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "p", "AWS_CA_BUNDLE": "ca.pem"}
    return {access.VARIABLE: str(path), "HOME": "/home/me", **operators}


def test_a_servers_programs_find_it_and_nothing_of_the_operators(tmp_path: Path) -> None:
    given_task = task(environment={"AWS_ENDPOINT_URL": "http://mine"})
    found = environment(given_task, Workdir.of(tmp_path, "job-1"), served(tmp_path))
    assert {name: value for name, value in found.items() if name.startswith("AWS_")} == {
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://mine",
        "AWS_ACCESS_KEY_ID": "OURS",
        "AWS_CA_BUNDLE": "ca.pem",
    }
    assert (found["NO_PROXY"], found["HOME"]) == ("a,b=c", "/home/me") and access.VARIABLE not in found


def test_an_isolated_program_is_given_no_key(tmp_path: Path) -> None:
    found = environment(task(isolated=True), Workdir.of(tmp_path, "job-1"), served(tmp_path))
    assert {name for name in found if name.startswith("AWS_")} == {"AWS_REGION", "AWS_CA_BUNDLE"}


def test_without_a_server_programs_inherit_what_there_is(tmp_path: Path) -> None:
    base = {"AWS_PROFILE": "mine"}
    assert environment(task(), Workdir.of(tmp_path, "job-1"), base)["AWS_PROFILE"] == "mine"


def test_threads_are_left_alone_by_default(tmp_path: Path) -> None:
    assert "OMP_NUM_THREADS" not in environment(task(), Workdir.of(tmp_path, "job-1"), {})
    chosen = task(cpus=4, environment={"OMP_NUM_THREADS": "1"})
    assert environment(chosen, Workdir.of(tmp_path, "job-1"), {})["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("devices", "value"), [(None, "0,1"), ((), ""), (("1",), "1"), (("0", "1"), "0,1")])
def test_devices(tmp_path: Path, devices: tuple[str, ...] | None, value: str) -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1"}
    found = environment(task(), Workdir.of(tmp_path, "job-1"), base, devices=devices)
    assert found["CUDA_VISIBLE_DEVICES"] == value


def test_impossible_variables_are_left_out(tmp_path: Path) -> None:
    values = {"a=b": "1", "long": "x" * MAX_VARIABLE, "zero": '"\\u0000"'}
    odd = Task("j", "job-1", 1, 1, Training(), values)
    found = environment(odd, Workdir.of(tmp_path, "job-1"), {})
    assert not {"SM_HP_A=B", "SM_HP_LONG", "SM_HP_ZERO", "SM_HPS", "SM_TRAINING_ENV"} & set(found)
    assert "SM_MODEL_DIR" in found


# ---- the directory ----


@given(st.text(alphabet=string.printable, max_size=70))
def test_only_training_job_names_become_directories(name: str) -> None:
    try:
        workdir = Workdir.of("/home", name)
    except Invalid:
        return
    assert workdir.base == f"/home/jobs/{name}" and len(name) <= 63 and "/" not in name and "." not in name


def test_attempts_share_checkpoints_alone() -> None:
    first, second = Workdir.of("/home", "job-1"), Workdir.of("/home", "job-1", 2)
    assert second.base == "/home/jobs/job-1/attempt-2"
    assert first.checkpoints == second.checkpoints == "/home/jobs/job-1/checkpoints"
    assert not {first.lock, first.exit, first.model, first.stream("stdout")} & {second.lock, second.exit, second.model}


def test_exit_records(tmp_path: Path) -> None:
    workdir = Workdir.of(tmp_path, "job-1")
    assert read_exit(workdir) is None and workdir.sizes() == Cursor()
    report = ExitReport("job-1", 1, -9, Failure.ALGORITHM, "why\nü", "s3://m", True, 1.5, 2.5)
    write_exit(workdir, report)
    assert read_exit(workdir) == report
    write_exit(workdir, ExitReport("job-1", 1, None))
    assert read_exit(workdir) == ExitReport("job-1", 1, None)
    assert [path.name for path in Path(workdir.base).iterdir()] == ["exit.json"]


def test_reading_streams(tmp_path: Path) -> None:
    workdir = Workdir.of(tmp_path, "job-1")
    workdir.make()
    Path(workdir.stream("metrics")).write_bytes(b"0123456789")
    assert workdir.read("metrics", 3, 4) == b"3456" and workdir.read("metrics", 10, 4) == b""
    assert workdir.sizes() == Cursor(0, 0, 10)
    with pytest.raises(KeyError):
        workdir.read("../exit", 0, 1)


def test_the_last_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert last_lines(path, 3) == ""
    path.write_bytes(b"x" * 400_000 + b"\n1\n2\n\xff3\n")
    assert last_lines(path, 2) == "2\n\ufffd3"


def test_the_end_of_a_log_is_that_of_both_streams(tmp_path: Path) -> None:
    paths = out, errors = tmp_path / "stdout.log", tmp_path / "stderr.log"
    assert end_of_log(paths, 2) == LogTail(str(out), "")
    out.write_text("1\n2\n3\n")
    assert end_of_log(paths, 2) == LogTail(str(out), "2\n3")
    errors.write_text("a warning\n")
    assert end_of_log(paths, 2) == LogTail(str(errors), "a warning", {"stdout": "2\n3"})
