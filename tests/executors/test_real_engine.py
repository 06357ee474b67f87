"""Images run by a real container engine, where one answers; the image is made here, of a static busybox.

ENGINE_FOR_TESTS names the engine's program (else docker and podman are tried), BUSYBOX_FOR_TESTS a static busybox.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.ports import Task
from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors.images import Image

from .bench import Bench

IMAGE = "localhost/tunewright-test:1"
APPLETS = ("sh", "cat", "sleep", "env", "ls", "touch")


def find_engine() -> tuple[str, str]:
    """An engine that answers, and why there is none."""
    for name in filter(None, (os.environ.get("ENGINE_FOR_TESTS"), "docker", "podman")):
        program = shutil.which(name)
        if program and subprocess.run([program, "info"], capture_output=True, check=False, timeout=60).returncode == 0:
            return program, ""
    return "", "no container engine answers here"


ENGINE, WHY = find_engine()
BUSYBOX = os.environ.get("BUSYBOX_FOR_TESTS") or shutil.which("busybox") or ""
pytestmark = [
    pytest.mark.skipif(not ENGINE, reason=WHY),
    pytest.mark.skipif(not BUSYBOX, reason="no static busybox to make an image of"),
    pytest.mark.slow,
]


def engine(*words: str) -> str:
    done = subprocess.run([ENGINE, *words], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("image")
    for folder in ("bin", "opt", "tmp", "etc", "proc", "dev", "sys"):
        (root / folder).mkdir()
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    archive = root.parent / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".")
    engine("import", str(archive), IMAGE)
    return IMAGE


@pytest.fixture
def contained(make_bench: Callable[..., Bench], image: str) -> Bench:
    return make_bench(images=(Image("*", "", ENGINE, ("--network=none",)),))


def shell(bench: Bench, name: str, text: str, **training: object) -> Task:
    entry = {"entrypoint": ("/bin/sh", "-c"), "arguments": (text,), "image": IMAGE}
    return replace(bench.task(name, **entry, **training), hyperparameters={"lr": "0.1"})  # type: ignore[arg-type]


def mine(name: str) -> list[str]:
    return engine("ps", "--all", "--quiet", "--filter", f"label=tunewright.job={name}").split()


def test_a_container_trains(contained: Bench) -> None:
    data = contained.source("data", "1,2\n", "rows.csv")
    text = """
        cat /opt/ml/input/config/hyperparameters.json /opt/ml/input/data/train/rows.csv
        touch /opt/ml/input/data/train/new || echo "read-only"
        echo "$NOTE" > /opt/ml/model/m
        echo "acc=0.5;"
        echo "no use" > /opt/ml/output/failure
        exit 3
    """
    channels = (Channel("train", data.as_uri(), input_mode="FastFile"),)
    report = contained.run(shell(contained, "trains", text, channels=channels, environment={"NOTE": "two words"}))
    assert (report.exit_code, report.failure, report.reason) == (3, Failure.ALGORITHM, "no use")
    assert contained.stdout("trains") == '{"lr": "0.1"}1,2\nread-only\nacc=0.5;\n'
    assert (contained.job("trains") / "model" / "m").read_text(encoding="utf-8") == "two words\n"
    assert mine("trains") == []


def test_a_stop_reaches_the_container(contained: Bench) -> None:
    text = "trap 'touch /opt/ml/model/last; exit 0' TERM; echo up; while true; do sleep 0.1; done"
    task = shell(contained, "told", text)
    contained.executor.launch(task)
    contained.seen.said("told", b"up")
    assert len(mine("told")) == 1
    contained.executor.kill(task)
    report = contained.seen.exit("told")
    assert report.killed and report.model
    with tarfile.open(contained.root / "out put" / "told" / "output" / "model.tar.gz") as archive:
        assert archive.getnames() == ["last"]
    assert mine("told") == []


def test_a_deaf_container_is_killed(contained: Bench) -> None:
    task = shell(contained, "deaf", "trap '' TERM; echo up; while true; do sleep 0.1; done")
    contained.executor.launch(task)
    contained.seen.said("deaf", b"up")
    contained.executor.kill(replace(task, grace=0.5))
    assert contained.seen.exit("deaf").killed
    assert mine("deaf") == []


def test_a_lost_container_is_removed(contained: Bench) -> None:
    contained.executor.launch(shell(contained, "lost", "echo up; sleep 600"))
    contained.seen.said("lost", b"up")
    os.kill(contained.pid("lost", "shim"), signal.SIGKILL)
    assert contained.seen.exit("lost").failure is Failure.INTERNAL
    assert mine("lost") == []


def test_an_image_that_is_not_there(contained: Bench) -> None:
    task = shell(contained, "missing", "true")
    report = contained.run(replace(task, training=replace(task.training, image="localhost/tunewright-none:1")))
    assert report.failure is Failure.CLIENT and "could not run the image" in report.reason
    assert Path(contained.job("missing")).exists()
