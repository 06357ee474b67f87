"""Between a task and its program: the source, manifests, drivers' scripts and what is cleared away."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.ports import Task
from tunewright.core.spec import Channel, Training
from tunewright.core.trial import Failure
from tunewright.executors import reasons
from tunewright.executors.contract import artifacts, code, inputs, prepare
from tunewright.executors.reasons import Refused
from tunewright.executors.workdir import Workdir
from tunewright.objects.local import LocalObjects


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects")


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    made = Workdir.of(tmp_path / "project" / ".tunewright", "job-1")
    made.make()
    return made


def task(program: str, source: str, **training: object) -> Task:
    values = {"sagemaker_program": program, "sagemaker_submit_directory": source}
    return Task("j", "job-1", 1, 1, Training(**training), values)  # type: ignore[arg-type]


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(workdir: Workdir) -> list[str]:
    base = Path(workdir.code)
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir())


def test_a_project_directory_is_copied_without_its_ballast(
    tmp_path: Path, workdir: Workdir, objects: LocalObjects
) -> None:
    """The home lies inside the project: copying it into itself would never end."""
    project = tmp_path / "project"
    for name in ("train.py", "lib/helper.py", ".git/config", "lib/__pycache__/x.pyc", "my env/pyvenv.cfg", ".env"):
        write(project / name)
    data = write(tmp_path / "far" / "data.csv").parent
    os.symlink(data, project / "data")
    os.chmod(project / "train.py", 0o755)
    assert code.bring_code(task("train.py", project.as_uri()), workdir, objects) == "train.py"
    assert found(workdir) == [".env", "lib/helper.py", "train.py"]
    assert os.readlink(workdir.code + "/data") == str(data)
    assert os.access(workdir.code + "/train.py", os.X_OK)
    Path(workdir.code, "train.py").write_text("changed", encoding="utf-8")
    assert (project / "train.py").read_text(encoding="utf-8") == "x"


def test_one_file_is_enough(tmp_path: Path, workdir: Workdir, objects: LocalObjects) -> None:
    path = write(tmp_path / "train.py")
    write(tmp_path / "large-neighbour")
    assert code.bring_code(task("train.py", path.as_uri()), workdir, objects) == "train.py"
    assert found(workdir) == ["train.py"]


def test_a_program_by_its_absolute_path(tmp_path: Path, workdir: Workdir, objects: LocalObjects) -> None:
    path = write(tmp_path / "train.py")
    assert code.bring_code(task(str(path), ""), workdir, objects) == "train.py"


def test_a_source_in_a_channel(workdir: Workdir, objects: LocalObjects) -> None:
    write(Path(workdir.data) / "code" / "train.py")
    assert code.bring_code(task("train.py", "/opt/ml/input/data/code"), workdir, objects) == "train.py"


def test_a_source_in_a_channel_is_in_there(workdir: Workdir, objects: LocalObjects) -> None:
    with pytest.raises(Refused, match="leads outside /opt/ml"):
        code.bring_code(task("train.py", "/opt/ml/../../secrets"), workdir, objects)


def test_an_s3_prefix(workdir: Workdir, objects: LocalObjects) -> None:
    write(objects.root / "bucket" / "src" / "pkg" / "train.py")
    assert code.bring_code(task("pkg/train.py", "s3://bucket/src/"), workdir, objects) == "pkg/train.py"


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 2), ("MAX_BYTES", 2)])
def test_too_large_a_source_is_refused(
    tmp_path: Path, workdir: Workdir, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(code, limit, value)
    for number in range(3):
        write(tmp_path / "source" / f"{number}.py")
    with pytest.raises(Refused, match="input channels") as caught:
        code.bring_code(task("0.py", (tmp_path / "source").as_uri()), workdir, objects)
    assert caught.value.failure is Failure.CLIENT


# ---- channels ----


def test_a_manifest(workdir: Workdir, objects: LocalObjects) -> None:
    for key in ("a/1.csv", "a/sub/2.csv", "a/3.csv"):
        write(objects.root / "bucket" / key, key)
    listing = [{"prefix": "s3://bucket/a/"}, "1.csv", "sub/2.csv"]
    write(objects.root / "bucket" / "list.json", json.dumps(listing))
    channel = Channel("train", "s3://bucket/list.json", data_type="ManifestFile")
    inputs.bring_channels(task("t", "", channels=(channel,)), workdir, objects)
    base = Path(workdir.channel("train"))
    assert sorted(str(p.relative_to(base)) for p in base.rglob("*.csv")) == ["1.csv", "sub/2.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "not a manifest"),
        ("[]", "not a manifest"),
        ('{"prefix": "s3://bucket/"}', "not a manifest"),
        ('[{"prefix": "s3://bucket/"}, 3]', "not a manifest"),
        ('[{"prefix": "s3://bucket/"}, "gone.csv"]', "there is no s3://bucket/gone.csv"),
        ('[{"prefix": "s3://bucket/"}, "../../x/y"]', "outside the channel"),
    ],
)
def test_manifests_that_are_refused(workdir: Workdir, objects: LocalObjects, text: str, words: str) -> None:
    write(objects.root / "bucket" / "list.json", text)
    channel = Channel("train", "s3://bucket/list.json", data_type="ManifestFile")
    with pytest.raises(Refused, match=words):
        inputs.bring_channels(task("t", "", channels=(channel,)), workdir, objects)


def test_drivers_find_the_job_directory(tmp_path: Path, objects: LocalObjects) -> None:
    workdir = Workdir.of(tmp_path / "with blank", "job-1")
    workdir.make()
    original = write(tmp_path / "drivers" / "train.sh", "cat /opt/ml/input/config/x && ls /opt/ml/model\n")
    original.chmod(0o755)
    given = task("t", "", channels=(Channel("sm_drivers", original.parent.as_uri()),))
    base = prepare.alias(given, workdir)
    assert " " not in base and os.path.realpath(base) == os.path.realpath(workdir.base)
    inputs.bring_channels(given, workdir, objects, base)
    script = Path(workdir.channel("sm_drivers")) / "train.sh"
    assert script.read_text(encoding="utf-8") == f"cat {base}/input/config/x && ls {base}/model\n"
    assert os.access(script, os.X_OK) and "/opt/ml" in original.read_text(encoding="utf-8")
    prepare.drop_alias(base)
    assert not os.path.lexists(base) and not os.path.exists(os.path.dirname(base))


def test_no_alias_without_need(tmp_path: Path) -> None:
    workdir = Workdir.of(tmp_path, "job-1")
    assert prepare.alias(replace(task("t", ""), training=Training(entrypoint=("x",))), workdir) == workdir.base


# ---- commands ----


def test_commands(workdir: Workdir) -> None:
    python, environment = "/venv/bin/python", {"PATH": os.environ["PATH"]}

    def command(given: Task, program: str | None) -> tuple[str, ...]:
        return prepare.plan(given, workdir.base, program, python, environment).command

    given = replace(task("train.py", ""), hyperparameters={"lr": "0.1", "sagemaker_program": "train.py"})
    assert command(given, "train.py") == (python, "train.py", "--lr", "0.1")
    write(Path(workdir.code) / "run.sh", "#!/bin/sh\n")
    assert command(given, "run.sh") == ("/bin/sh", "run.sh", "--lr", "0.1")
    os.chmod(workdir.code + "/run.sh", 0o755)
    assert command(given, "run.sh") == (workdir.code + "/run.sh", "--lr", "0.1")
    entry = replace(given, training=Training(entrypoint=("sh", "-c"), arguments=("ls /opt/ml/model",)))
    assert command(entry, "train.py")[1:] == ("-c", f"ls {workdir.base}/model")


@pytest.mark.parametrize("name", ["sagemaker_torch_distributed_enabled", "sagemaker_pytorch_ddp_enabled"])
def test_scripts_of_several_processes_are_started_by_pytorchs_launcher(name: str, workdir: Workdir) -> None:
    python, given = "/venv/bin/python", task("train.py", "")
    many = replace(given, hyperparameters={**given.hyperparameters, "lr": "0.1", name: "true"})
    alone = {"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1", "SM_NUM_GPUS": "2"}
    words = (python, "-m", "torch.distributed.run", "--nnodes=1", "--nproc_per_node=2", "--standalone")
    assert prepare.plan(many, workdir.base, "train.py", python, alone).command == (*words, "train.py", "--lr", "0.1")
    assert prepare.plan(many, workdir.base, "pack.train", python, alone).command[6:] == (
        "-m",
        "pack.train",
        "--lr",
        "0.1",
    )
    second = {"SM_HOSTS": '["algo-1","algo-2"]', "SM_CURRENT_HOST": "algo-2", "SM_NUM_GPUS": "0"}
    command = prepare.plan(many, workdir.base, "train.py", python, second).command
    assert command[3:7] == ("--nnodes=2", "--nproc_per_node=1", "--node_rank=1", "--master_addr=127.0.0.1")
    first = prepare.plan(many, workdir.base, "train.py", python, {**second, "SM_CURRENT_HOST": "algo-1"}).command
    assert first[7] == command[7] and first[7].startswith("--master_port=2")
    off = replace(given, hyperparameters={**given.hyperparameters, name: "false"})
    assert prepare.plan(off, workdir.base, "train.py", python, alone).command == (python, "train.py")


# ---- what is left ----


def test_clearing(workdir: Workdir) -> None:
    outside = write(Path(workdir.shared).parent / "kept" / "file")
    for directory in (workdir.data + "/train", workdir.model, workdir.code, workdir.output_data):
        write(Path(directory) / "deep" / "file")
        os.symlink(outside.parent, directory + "/link")
    artifacts.clear(workdir, inputs_only=True)
    assert os.listdir(workdir.data) == [] and len(os.listdir(workdir.model)) == 2
    artifacts.clear(workdir, inputs_only=False)
    left = sorted(os.listdir(workdir.base))
    assert not any(map(os.listdir, (workdir.data, workdir.model, workdir.code, workdir.output_data)))
    assert left == ["code", "input", "model", "output"] and outside.exists()


def test_the_tail_prefers_standard_error_and_whole_lines(workdir: Workdir) -> None:
    assert reasons.tail(workdir) == ""
    write(Path(workdir.stream("stdout")), "out\n")
    assert reasons.tail(workdir) == "out"
    write(Path(workdir.stream("stderr")), "".join(f"line {number}\n" for number in range(5000)))
    tail = reasons.tail(workdir)
    assert tail.startswith("line ") and tail.endswith("line 4999") and len(tail) <= 600
    write(Path(workdir.stream("stderr")), "x" * 100_000)
    assert reasons.tail(workdir) == "x" * 600
