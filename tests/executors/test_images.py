"""What training images stand for: interpreters for their scripts, and container engines.

The engine is one of plain processes (`engine`): what is held here is what is asked of an engine and who ends what.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.errors import Invalid
from tunewright.core.ports import Task
from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors import rooms
from tunewright.executors.contract import access
from tunewright.executors.images import Image, find, parse
from tunewright.executors.runtime import Runtime
from tunewright.settings import Settings

from .bench import Bench
from .engine import Engine

OBSTACLE = rooms.obstacle()
needs_rooms = pytest.mark.skipif(bool(OBSTACLE), reason=f"the engine of the tests needs mount namespaces: {OBSTACLE}")
TORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1-gpu-py310"


# ---- the table ----


def test_the_first_line_that_fits_counts() -> None:
    table = parse('{"*pytorch-training*": "/envs/torch/bin/python", "*/mine:?": {"engine": "podman"}, "*": "/usr"}')
    assert find(table, TORCH) == Image("*pytorch-training*", python="/envs/torch/bin/python")
    assert find(table, "host/mine:1") == Image("*/mine:?", engine="podman")
    assert find(table, None) == Image("*", python="/usr")
    assert find(table[:2], "host/mine:10") is None
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["is not JSON", "pytorch-training"]),
        ("[]", ["must be a table"]),
        ('{"a": 1}', ["images.a", "must be a path", "got 1"]),
        ('{"a": ""}', ["names no interpreter"]),
        ('{"a": {}}', ["either python or engine"]),
        ('{"a": {"python": "p", "engine": "docker"}}', ["either python or engine"]),
        ('{"a": {"engine": "rkt"}}', ["docker, podman or an absolute path", "'rkt'"]),
        ('{"a": {"engine": "docker", "options": "--gpus=all"}}', ["must be a list"]),
        ('{"a": {"engine": "docker", "options": ["bash"]}}', ["each beginning with"]),
        ('{"a": {"python": "p", "options": ["--x"]}}', ["belongs to an engine"]),
        ('{"a": {"image": "x", "python": "p"}, "b": 2}', ["does not know image", "images.b"]),
    ],
)
def test_a_wrong_table_says_all_that_is_wrong(text: str, words: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_table_travels(tmp_path: Path) -> None:
    (tmp_path / "tunewright.toml").write_text(
        '[images]\n"*torch*" = "/envs/torch"\n"*" = {engine = "docker", options = ["--network=none"]}\n'
    )
    settings = Settings.load({}, tmp_path)
    table = parse(settings.images)
    assert table == (Image("*torch*", "/envs/torch"), Image("*", "", "docker", ("--network=none",)))
    assert parse(Settings.load({"TUNEWRIGHT_IMAGES": settings.images}).images) == table
    runtime = Runtime("rewrite", table)
    assert Runtime.of(runtime.text()) == runtime


# ---- interpreters ----


@pytest.fixture
def mapped(make_bench: Callable[..., Bench]) -> Callable[..., Bench]:
    return lambda *images: make_bench(images=images)


def environment(folder: Path) -> Path:
    """A virtual environment with nothing in it but an interpreter that says where it is."""
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nWHO="$0" exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("whole", [True, False])
def test_scripts_run_in_the_environment_of_their_image(
    tmp_path: Path, mapped: Callable[..., Bench], whole: bool
) -> None:
    python = environment(tmp_path)
    bench = mapped(Image("*pytorch-training*", str(python.parent.parent if whole else python)))
    text = "import os\nprint(os.environ.get('WHO'), os.environ['PATH'].split(':')[0])\n"
    assert bench.run(bench.task("torch", text, image=TORCH)).exit_code == 0
    assert bench.stdout("torch") == f"{python} {python.parent}\n"
    assert bench.run(bench.task("other", text, image="other")).exit_code == 0
    assert bench.stdout("other").split() == ["None", os.path.dirname(sys.executable)]
    assert bench.run(bench.task("own", text, image=TORCH, python=sys.executable)).exit_code == 0
    assert bench.stdout("own").split()[0] == "None", "the request's own interpreter comes first"


def test_an_environment_that_is_not_there(mapped: Callable[..., Bench]) -> None:
    bench = mapped(Image("*pytorch*", "/nowhere/bin/python"))
    report = bench.run(bench.task("torch", "", image=TORCH))
    assert report.failure is Failure.CLIENT
    assert all(word in report.reason for word in ("/nowhere/bin/python", "setting images", "*pytorch*"))


def test_what_cannot_run_is_refused_before_anything_is_fetched(bench: Bench) -> None:
    channel = Channel("train", "s3://bucket/none")
    task = replace(bench.task("alone", image="x/xgboost:1", channels=(channel,)), hyperparameters={})
    report = bench.run(task)
    assert report.failure is Failure.CLIENT
    assert all(word in report.reason for word in ("x/xgboost:1", "sagemaker_program", 'engine = "docker"'))
    assert "download" not in report.reason
    named = replace(task, name="named", training=replace(task.training, image=None, algorithm="knn"))
    report = bench.run(named)
    assert report.failure is Failure.CLIENT and "'knn'" in report.reason and "setting images" in report.reason


# ---- engines ----

TRAINS = """
import json, os, sys
config = json.load(open("/opt/ml/input/config/hyperparameters.json"))
print("acc=0.5;", sys.argv[1:], sorted(os.listdir("/opt/ml/code")), flush=True)
print(json.dumps({"config": config, "environment": dict(os.environ)}), file=sys.stderr)
print(open("/opt/ml/input/data/train/rows.csv").read().strip())
try:
    open("/opt/ml/input/data/train/rows.csv", "a")
except OSError:
    print("read-only")
open("/opt/ml/model/m", "w").write("m")
open(os.environ["TUNEWRIGHT_METRICS_FILE"], "a").write('{"at": 1, "step": 1, "values": {"acc": 0.7}}')
"""
WAITS = """
import signal, sys, time
def told(number, frame):
    open("/opt/ml/model/last", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, told if {hears} else signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
LINKS = """
import os
os.rmdir("/opt/ml/model")
os.symlink("/etc", "/opt/ml/model")
os.unlink("/opt/ml/stdout.log")
os.symlink("/etc/hostname", "/opt/ml/stdout.log")
"""
IMAGES = {
    "trains:1": TRAINS,
    "fails:1": "import sys\nopen('/opt/ml/output/failure', 'w').write('bad data')\nsys.exit(3)\n",
    "lacks:1": "import sys\nprint('Error: sh: tool not found', file=sys.stderr)\nsys.exit(127)\n",
    "links:1": LINKS,
    "waits:1": WAITS.format(hears=True),
    "deaf:1": WAITS.format(hears=False),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path, IMAGES)
    yield made
    made.close()


@pytest.fixture
def contained(engine: Engine, mapped: Callable[..., Bench]) -> Bench:
    return mapped(Image("*:1", "", str(engine.client), ("--network=none",)))


def job(bench: Bench, name: str, image: str, **training: object) -> Task:
    task = bench.task(name, image=image, **training)
    return task if "entrypoint" not in training else replace(task, hyperparameters={"lr": "1"})


@needs_rooms
def test_an_image_is_run_with_its_directory_at_opt_ml(contained: Bench, engine: Engine) -> None:
    data = contained.source("data", "1,2\n", "rows.csv")
    channel = Channel("train", data.as_uri(), input_mode="FastFile")
    own = {"EPOCHS": "two words", "DOCKER_HOST": "tcp://elsewhere"}
    report = contained.run(job(contained, "trains", "trains:1", channels=(channel,), environment=own))
    assert (report.exit_code, report.reason) == (0, "")
    assert contained.stdout("trains") == "acc=0.5; ['train'] ['train.py']\n1,2\nread-only\n"
    told = json.loads(contained.stderr("trains"))
    assert told["config"]["sagemaker_program"] == "train.py"
    assert told["config"]["sagemaker_submit_directory"] == "/opt/ml/code"
    inside = told["environment"]
    assert (inside["EPOCHS"], inside["DOCKER_HOST"]) == ("two words", "tcp://elsewhere")
    assert inside["TRAINING_JOB_NAME"] == "trains" and inside["AWS_REGION"]
    assert not [name for name in inside if name.startswith("SM_")], "the toolkit in the image sets these"
    assert b"0.7" in contained.executor.read("trains", 1, "metrics", 0, 100)
    with tarfile.open(contained.root / "out put" / "trains" / "output" / "model.tar.gz") as archive:
        assert archive.getnames() == ["m"]


@needs_rooms
def test_what_is_asked_of_the_engine(contained: Bench, engine: Engine) -> None:
    entry = ("python3", "-u")
    task = job(contained, "asks", "trains:1", entrypoint=entry, arguments=("a b", "c"), environment={"SECRET": "s"})
    contained.run(task)
    asked = engine.asked()
    base = contained.job("asks")
    assert asked["mounts"] == [f"type=bind,source={base},target=/opt/ml"]
    assert asked["labels"] == [f"tunewright.home={contained.home}", "tunewright.job=asks", "tunewright.attempt=1"]
    assert (asked["entrypoint"], asked["command"]) == ("python3", ["-u", "a b", "c"])
    assert asked["more"] == ["--rm", "--network=none"]
    [run] = engine.calls("run")
    assert "SECRET" in run and "SECRET=s" not in run, "values do not show in the list of processes"
    assert [call[0] for call in engine.calls()] == ["rm", "run", "rm"]


@needs_rooms
def test_a_container_is_told_the_way_to_its_server(
    contained: Bench, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key stands on no command line; what the request says wins; whom to trust is mounted where it says."""
    authority = tmp_path / "ca.pem"
    authority.touch()
    variables = {"AWS_ENDPOINT_URL": "http://here", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_CA_BUNDLE": str(authority)}
    access.write(tmp_path / "programs.env", variables)
    monkeypatch.setenv(access.VARIABLE, str(tmp_path / "programs.env"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the operator's")
    contained.run(job(contained, "served", "trains:1", environment={"AWS_ENDPOINT_URL": "http://mine"}))
    asked = engine.asked()
    assert (asked["env"]["AWS_ENDPOINT_URL"], asked["env"]["AWS_SECRET_ACCESS_KEY"]) == ("http://mine", "hush")
    assert "AWS_SESSION_TOKEN" not in asked["env"]
    assert f"type=bind,source={authority},target={authority},readonly" in asked["mounts"]
    assert "hush" not in str(engine.calls("run"))
    contained.run(job(contained, "alone", "trains:1", isolated=True))
    assert "--env-file" in engine.calls("run")[0] and "--env-file" not in engine.calls("run")[1]


@needs_rooms
def test_the_exit_code_and_the_failure_file_of_a_container(contained: Bench) -> None:
    report = contained.run(job(contained, "fails", "fails:1"))
    assert (report.exit_code, report.failure, report.reason) == (3, Failure.ALGORITHM, "bad data")


@needs_rooms
def test_links_of_a_container_lead_nobody_out_of_it(contained: Bench) -> None:
    report = contained.run(job(contained, "links", "links:1"))
    assert report.failure is Failure.ALGORITHM
    assert report.reason == "The container put a link in the place of /opt/ml/model; nothing of it is kept."
    assert not report.model and not (contained.root / "out put" / "links").exists()
    assert contained.executor.read("links", 1, "stdout", 0, 100) == b""


def test_an_image_whose_name_is_an_option_is_refused(contained: Bench, engine: Engine) -> None:
    report = contained.run(job(contained, "option", "--volume=/:/mnt/x:1"))
    assert report.failure is Failure.CLIENT and "begins with a hyphen" in report.reason


def test_an_image_that_is_not_there(contained: Bench) -> None:
    report = contained.run(job(contained, "missing", "missing:1"))
    assert report.failure is Failure.CLIENT
    assert "could not run the image 'missing:1'" in report.reason and "Unable to find image" in report.reason


def test_an_image_whose_program_is_not_there(contained: Bench) -> None:
    report = contained.run(job(contained, "broken", "broken:1"))
    assert (report.failure, report.exit_code) == (Failure.CLIENT, None)
    assert "could not run the image 'broken:1'" in report.reason and "no such file" in report.reason


@needs_rooms
def test_an_exit_code_that_engines_use_too_is_the_programs_own(contained: Bench) -> None:
    report = contained.run(job(contained, "own", "lacks:1"))
    assert (report.exit_code, report.failure) == (127, Failure.ALGORITHM)


@needs_rooms
def test_a_container_whose_client_is_killed_is_lost_and_removed(contained: Bench, engine: Engine) -> None:
    """Nobody knows how it would have ended: that is not the program's failure, and is attempted again if asked for."""
    contained.executor.launch(job(contained, "alone", "deaf:1"))
    contained.seen.said("alone", b"up")
    os.kill(contained.pid("alone", "program"), signal.SIGKILL)
    report = contained.seen.exit("alone")
    assert report.failure is Failure.INTERNAL and "worker lost" in report.reason
    assert not engine.running()


def test_an_engine_that_is_not_there(mapped: Callable[..., Bench]) -> None:
    bench = mapped(Image("*", "", "/nowhere/podman"))
    report = bench.run(job(bench, "none", "any:1"))
    assert report.failure is Failure.CLIENT and "There is no /nowhere/podman here" in report.reason


def test_several_instances_are_refused_by_name(contained: Bench) -> None:
    report = contained.run(job(contained, "two", "trains:1", instance_count=2))
    assert report.failure is Failure.CLIENT and "one instance" in report.reason


@needs_rooms
def test_a_stop_is_the_containers_stop(contained: Bench, engine: Engine) -> None:
    task = job(contained, "told", "waits:1")
    contained.executor.launch(task)
    contained.seen.said("told", b"up")
    contained.executor.kill(task)
    report = contained.seen.exit("told")
    assert report.killed and report.model
    with tarfile.open(contained.root / "out put" / "told" / "output" / "model.tar.gz") as archive:
        assert archive.getnames() == ["last"]
    assert engine.calls("kill") == [["kill", "--signal", "TERM", engine.asked()["name"]]]


@needs_rooms
def test_a_deaf_container_is_killed(contained: Bench, engine: Engine) -> None:
    task = job(contained, "deaf", "deaf:1")
    contained.executor.launch(task)
    contained.seen.said("deaf", b"up")
    contained.executor.kill(replace(task, grace=0.3))
    assert contained.seen.exit("deaf").killed
    contained.seen.until(lambda: not engine.running())


def test_a_stop_while_the_image_is_pulled(contained: Bench, engine: Engine) -> None:
    task = job(contained, "pulls", "pulling:1")
    contained.executor.launch(task)
    contained.seen.until(lambda: bool(engine.calls("run")))
    contained.pid("pulls", "program")
    contained.executor.kill(task)
    assert contained.seen.exit("pulls").killed


@needs_rooms
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_a_container_whose_shim_is_killed_is_found_by_its_labels(contained: Bench, engine: Engine) -> None:
    contained.executor.launch(job(contained, "lost", "deaf:1"))
    contained.seen.said("lost", b"up")
    os.kill(contained.pid("lost", "shim"), signal.SIGKILL)
    assert contained.seen.exit("lost").failure is Failure.INTERNAL
    contained.seen.until(lambda: not engine.running())
    assert "label=tunewright.job=lost" in engine.calls("ps")[0]


@needs_rooms
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_an_engine_that_is_busy_is_asked_again_for_what_is_left(contained: Bench, engine: Engine) -> None:
    contained.executor.launch(job(contained, "lost", "deaf:1"))
    contained.seen.said("lost", b"up")
    engine.busy()
    os.kill(contained.pid("lost", "shim"), signal.SIGKILL)
    assert contained.seen.exit("lost").failure is Failure.INTERNAL
    contained.seen.until(lambda: not engine.running())
    assert len(engine.calls("ps")) == 2


@needs_rooms
def test_a_new_controller_takes_over_a_container(contained: Bench, engine: Engine) -> None:
    task = job(contained, "kept", "waits:1")
    handle = contained.executor.launch(task)
    contained.seen.said("kept", b"up")
    contained.executor.close()
    contained.open.pop()
    contained.start()
    contained.executor.watch(task, handle)
    contained.executor.kill(task)
    assert contained.seen.exit("kept").killed and not engine.running()


def test_gpus_of_engines(tmp_path: Path, mapped: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for name, words in (("docker", ["--gpus", '"device=0,1"']), ("podman", ["--device", "nvidia.com/gpu=0"])):
        folder = tmp_path / name
        folder.mkdir()
        engine = Engine(folder, {}, name)
        bench = mapped(Image("*", "", str(engine.client)))
        bench.start(slots="cpu=2,gpu=2")
        bench.run(job(bench, f"gpus-{name}", "missing:1", gpus=2))
        [run] = engine.calls("run")
        at = run.index(words[0])
        assert run[at : at + 2] == words
        engine.close()


@pytest.mark.parametrize("name", ["opt_ml", "requirements"])
def test_settings_that_are_one_of_a_few_words(name: str) -> None:
    with pytest.raises(Invalid, match=f"{name}.*must be .* or .*'sometimes'"):
        Settings.load({f"TUNEWRIGHT_{name.upper()}": "sometimes"})
