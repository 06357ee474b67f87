"""Controllers that vanish, and calls that several of them look after: nothing is left, and nothing runs twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunewright.core.ports import Task
from tunewright.core.spec import Function, Training
from tunewright.core.trial import Failure
from tunewright.executors import processes
from tunewright.executors.workdir import Workdir

from .functions_bench import FunctionBench, eventually, gone, opened, sleeper


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FunctionBench]:
    yield from opened(tmp_path)


CONTROLLER = """
import sys
from pathlib import Path
from tunewright.core.ports import Task
from tunewright.core.spec import Function, Training
from tunewright.executors.bell import Bell
from tunewright.executors.functions.executor import FunctionExecutor
from tunewright.executors.slots import Slots
from tunewright.objects.local import LocalObjects

home, modules = map(Path, sys.argv[1:3])
executor = FunctionExecutor(home, LocalObjects(home / "objects"), Slots(home / "slots", "4"), Bell())
training = Training(function=Function(sys.argv[3], path=(str(modules),)))
for number in range(2):
    executor.launch(Task("bench", f"orphan-{number}", 1, 1, training, {}, objective="loss"))
while not all(executor.sizes(f"orphan-{number}", 1).stdout for number in range(2)):
    executor.wait(0.01)
    executor.poll()
print(*executor.worker_pids(), flush=True)
while True:
    executor.wait(10)
"""

ORPHAN = """
import subprocess, time
def train():
    child = subprocess.Popen(["sleep", "3600"])
    print("started", flush=True)
    time.sleep(3600)
def waits():
    import os
    print("started", flush=True)
    read, write = os.pipe()
    os.read(read, 1)
"""


@pytest.mark.parametrize("reference", ["orphan:train", "orphan:waits"])
def test_a_controller_that_is_killed_leaves_no_worker(bench: FunctionBench, reference: str) -> None:
    modules = bench.module("orphan", ORPHAN)
    command = [sys.executable, "-c", CONTROLLER, str(bench.home), str(modules), reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        pids = [int(word) for word in controller.stdout.readline().split()]
        children = [child for pid in pids for child in processes.children_of(pid)]
        assert len(pids) == 2 and len(children) == (2 if reference.endswith("train") else 0)
        controller.kill()
    for pid in pids + children:
        eventually(lambda pid=pid: gone(pid))  # type: ignore[misc]
    training = Training(function=Function(reference, path=(str(modules),)))
    for number in range(2):
        task = Task("bench", f"orphan-{number}", 1, 1, training, {}, objective="loss")
        bench.executor.watch(task, "whatever")
        assert bench.seen.exit(task.name).failure is Failure.INTERRUPTED
        assert bench.finish(replace(task, attempt=2, training=bench.task("x-1", lambda: 1.0).training)).failure is None


def test_a_finished_call_is_not_run_twice(bench: FunctionBench) -> None:
    place = bench.root / "count"

    def train(place: str) -> float:
        with open(place, "a") as file:
            file.write("x")
        return 1.0

    task = bench.task("twice-1", train, place=str(place))
    first = bench.finish(task)
    bench.executor.close()
    bench.start()
    assert bench.finish(task) == first
    assert place.read_text() == "x"


def test_a_call_that_another_controller_runs_is_watched_and_can_be_ended(bench: FunctionBench) -> None:
    first, seen = bench.executor, bench.seen
    tasks = [replace(bench.task(f"other-{number}", sleeper()), grace=0.5) for number in range(2)]
    for task in tasks:
        first.launch(task)
        seen.said(task.name, b"started")
    second = bench.start()
    for task in tasks:
        assert second.launch(task) is not None
        assert bench.seen.exits(task.name) == []
        second.kill(task)
        assert bench.seen.exit(task.name).killed
        assert seen.exit(task.name).killed


def test_what_a_crash_left_of_spare_directories_is_swept(bench: FunctionBench) -> None:
    assert bench.run("sweep-1", lambda: 1.0).failure is None
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = bench.home / "spare" / f"{dead.pid}-1"
    left.mkdir(parents=True)
    (left / "lock").touch()
    bench.start()
    assert bench.run("sweep-2", lambda: 1.0).failure is None
    eventually(lambda: not left.exists())
    assert len(list((bench.home / "spare").iterdir())) >= 1


def test_an_end_on_record_that_cannot_be_read_is_a_failure_and_keeps_nobody_waiting(bench: FunctionBench) -> None:
    function = Function("short:train", path=(str(bench.module("short", "def train():\n    return 1.0\n")),))
    bench.run("cut-1", function)
    task = bench.task("cut-1", function)
    bench.executor.close()
    record = Path(Workdir.of(str(bench.home), "cut-1", 1).exit)
    record.write_text(record.read_text()[:-5])
    bench.start()
    bench.executor.watch(task, None)
    report = bench.seen.exit("cut-1")
    assert report.failure is Failure.INTERNAL and "how the training job ended cannot be read" in report.reason
