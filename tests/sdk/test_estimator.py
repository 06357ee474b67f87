"""Estimators alone: plain training jobs, their logs and models, and what is refused before anything starts."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunewright.core.spec import Function
from tunewright.estimator import (
    AlgorithmEstimator,
    Estimator,
    FunctionEstimator,
    InvalidArguments,
    NotStarted,
    TrainingJobFailed,
    attach_training_job,
)
from tunewright.sdk import packing
from tunewright.sdk.training import _Log, _print_new

from .fakes import FakeLocal, complaints, fake, session


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("print('hello')\n")
    return path


def test_a_plain_training_job(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = session(tmp_path / "home", log="hello\nworld\n")
    estimator = Estimator(
        script,
        hyperparameters={"lr": 0.1, "n": 3, "s": "3"},
        environment={"A": "b"},
        output_path=tmp_path / "out",
        max_run=60,
        checkpoint_s3_uri=str(tmp_path / "checkpoints"),
        checkpoint_local_path="/opt/ml/checkpoints",
        max_retry_attempts=2,
        tags={"team": "a"},
        session=mine,
    )
    with pytest.raises(NotStarted):
        estimator.logs()
    estimator.set_hyperparameters(n=4)
    estimator.fit(str(script), job_name="mine")
    request = fake(mine).training["mine"]
    assert complaints("CreateTrainingJob", request) == ""
    assert {name: request["HyperParameters"][name] for name in ("lr", "n", "s")} == {"lr": "0.1", "n": "4", "s": '"3"'}
    assert request["OutputDataConfig"] == {"S3OutputPath": (tmp_path / "out").as_uri()}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert request["CheckpointConfig"] == {
        "S3Uri": (tmp_path / "checkpoints").as_uri(),
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert request["InputDataConfig"][0]["ChannelName"] == "training"
    assert request["Tags"] == [{"Key": "team", "Value": "a"}]
    assert capsys.readouterr().out == "hello\nworld\n"
    assert estimator.model_data == f"{(tmp_path / 'out').as_uri()}/mine/output/model.tar.gz"
    assert estimator.training_job_name == "mine"
    with pytest.raises(NotImplementedError, match="no hosting"):
        estimator.deploy()


def test_a_failed_training_job_raises_with_its_log(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home", final="Failed", reason="AlgorithmError: exit code 1", log="SyntaxError: oops")
    with pytest.raises(TrainingJobFailed, match="SyntaxError: oops") as caught:
        Estimator(script, session=mine).fit(logs=False, job_name="mine")
    assert caught.value.reason == "AlgorithmError: exit code 1"


def test_not_waiting_says_how_to_follow(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = session(tmp_path / "home")
    Estimator(script, session=mine).fit(wait=False, job_name="mine")
    assert "tunewright logs mine -f" in capsys.readouterr().out
    assert isinstance(mine.local, FakeLocal) and mine.local.calls == ["detach", "detach"]


def test_everything_is_checked_before(tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    estimator = Estimator("missing.py", instance_count=2, cpus=0, gpus=-1, hyperparameters={"x": float}, session=mine)
    with pytest.raises(InvalidArguments) as caught:
        estimator.fit("/nowhere", job_name="bad name")
    assert {problem.path for problem in caught.value.problems} == {
        "entry_point",
        "instance_count",
        "cpus",
        "gpus",
        "hyperparameters.x",
        "inputs['training']",
        "job_name",
    }
    assert not fake(mine).training


def test_environments_and_homes_do_not_travel_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("train.py", "lib/helper.py", "env/pyvenv.cfg", "env/bin/python", "runs/tunewright.db", "runs/model"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [str(path.relative_to(tmp_path)) for path in packing.files(tmp_path)] == ["lib/helper.py", "train.py"]


def test_a_working_folder_may_have_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "my code"
    folder.mkdir()
    (folder / "train.py").write_text("")
    mine = session(tmp_path / "home")
    Estimator("train.py", folder, session=mine).fit(folder, job_name="mine", logs=False)
    request = fake(mine).training["mine"]
    assert request["HyperParameters"]["sagemaker_submit_directory"].endswith("/my%20code")


def test_a_source_archive_is_passed_on(script: Path, tmp_path: Path) -> None:
    from tunewright.sdk.packing import pack

    archive = tmp_path / "sourcedir.tar.gz"
    archive.write_bytes(pack(tmp_path, script))
    mine = session(tmp_path / "home")
    for name, source in (("a", archive.as_uri()), ("b", "s3://bucket/sourcedir.tar.gz")):
        Estimator("train.py", source, session=mine).fit(job_name=name, logs=False)
    kept = fake(mine).training["a"]["HyperParameters"]["sagemaker_submit_directory"]
    assert Path(kept.removeprefix("file://")).read_bytes() == archive.read_bytes()
    assert fake(mine).training["b"]["HyperParameters"]["sagemaker_submit_directory"] == "s3://bucket/sourcedir.tar.gz"


def test_attaching_brings_the_estimator_back(script: Path, tmp_path: Path) -> None:
    def train(lr: float) -> float:
        return lr

    mine = session(tmp_path / "home")
    Estimator("train.py", script.parent, hyperparameters={"lr": 0.5}, session=mine).fit(job_name="a", logs=False)
    FunctionEstimator(train, hyperparameters={"lr": 1}, session=mine).fit(job_name="b", logs=False)
    AlgorithmEstimator("xgboost:1.7", hyperparameters={"eta": "0.3"}, session=mine).fit(job_name="c", logs=False)
    found = [attach_training_job(name, mine) for name in "abc"]
    assert [type(each) for each in found] == [Estimator, FunctionEstimator, AlgorithmEstimator]
    assert [each.hyperparameters() for each in found] == [{"lr": 0.5}, {"lr": 1}, {"eta": "0.3"}]
    assert isinstance(found[1], FunctionEstimator) and isinstance(found[1].function, Function)
    for each, name in zip(found, "xyz", strict=True):
        each.fit(job_name=name, logs=False)
    for old, new in zip("abc", "xyz", strict=True):
        one, two = fake(mine).training[old], fake(mine).training[new]
        assert {**two, "TrainingJobName": old} == one


def test_names_come_from_what_is_trained(script: Path, tmp_path: Path) -> None:
    mine = session(tmp_path / "home")
    estimators = [
        Estimator(script, session=mine),
        Estimator(script, base_job_name="my_base", session=mine),
        FunctionEstimator(lambda: 1.0, session=mine),
        AlgorithmEstimator("1234.dkr/sagemaker-xgboost:1.7", session=mine),
    ]
    for each in estimators:
        each.fit(logs=False)
    assert [name.rsplit("-", 3)[0] for name in fake(mine).training] == [
        "train",
        "my-base",
        "function",
        "sagemaker-xgboost",
    ]
    assert [repr(each) for each in estimators[2:]] == [
        "FunctionEstimator('test_names_come_from_what_is_trained.<locals>.<lambda>')",
        "AlgorithmEstimator('1234.dkr/sagemaker-xgboost:1.7')",
    ]


def test_a_log_that_moves_on_is_printed_once(tmp_path: Path) -> None:
    out = io.StringIO()
    seen = ""
    for text in ("a\n", "a\nb\n", "a\nb\n", "b\nc\nd", "b\nc\nd\ne"):
        seen = _print_new(text, seen, out)
    assert out.getvalue().split() == ["a", "b", "c", "d", "e"]


def test_a_character_that_is_logged_in_two_pieces_is_printed_whole(tmp_path: Path) -> None:
    paths, out = (tmp_path / "stdout.log", tmp_path / "stderr.log"), io.StringIO()
    job = SimpleNamespace(name="job", session=SimpleNamespace(log_paths=lambda name: paths))
    log = _Log(job, out)  # type: ignore[arg-type]  # of a training job this is all that is asked
    for data in ("é".encode()[:1], "é\n".encode()):
        paths[0].write_bytes(data)
        log.print_new()
    assert out.getvalue() == "é\n"


def test_extensions_round_trip_through_pieces() -> None:
    from tunewright.aws.sagemaker.extension import pack
    from tunewright.sdk.extensions import join_extension

    extension = {"path": ["x" * 6000], "n": 1}
    assert join_extension({"lr": "1", **pack(extension)}) == ({"lr": "1"}, extension)
    assert join_extension({"lr": "1", **pack({})}) == ({"lr": "1"}, {})
